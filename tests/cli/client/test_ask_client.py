import ast
import json
from typing import Any

import pytest

from cli.client.fake_gateway import FakeGateway
from cli.command import Command

ANSWER = {
    "finish_reason": "stop",
    "prompt_length": 12,
    "response_length": 5,
    "response_text": "42",
}


@pytest.fixture
def ask(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    def run(*options: str) -> Command:
        arguments = ("ask", "toy:5m", "What is 12 + 30?", "--url", gateway.url)
        return Command(capsys, monkeypatch, *arguments, *options)

    return run


def test_the_answer_is_one_python_dict(ask: Any) -> None:
    done = ask()
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "{'finish_reason': 'stop', 'prompt_length': 12, 'response_length': 5, "
        "'response_text': '42'}\n"
    )


def test_text_that_looks_like_markup_or_spans_lines_stays_one_line(
    ask: Any, gateway: FakeGateway
) -> None:
    gateway.pieces = ["[bold]it's\n", '"你好" ', "x" * 500]
    done = ask()
    assert done.out.count("\n") == 1
    assert ast.literal_eval(done.out)["response_text"] == "".join(gateway.pieces)


def test_json_is_json(ask: Any, gateway: FakeGateway) -> None:
    gateway.pieces = ["你好"]
    done = ask("--json")
    assert json.loads(done.out) == ANSWER | {"response_text": "你好"}
    assert "你好" in done.out


def test_only_what_was_said_is_sent(ask: Any, gateway: FakeGateway) -> None:
    ask()
    assert gateway.bodies == [
        {
            "model": "toy:5m",
            "messages": [{"role": "user", "content": "What is 12 + 30?"}],
            "options": {},
            "stream": False,
        }
    ]


def test_options_are_sent_under_ollamas_names(ask: Any, gateway: FakeGateway) -> None:
    ask("--max-tokens", "7", "--temperature", "0", "--seed", "3", "--system", "Be brief.")
    assert gateway.bodies[0]["options"] == {"num_predict": 7, "temperature": 0.0, "seed": 3}
    assert gateway.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_an_error_of_the_gateway_is_one_line(ask: Any, gateway: FakeGateway) -> None:
    gateway.status, gateway.error = 404, "model 'toy:5m' not found"
    done = ask()
    assert (done.code, done.out) == (1, "")
    assert done.err == "sizeup: model 'toy:5m' not found\n"


@pytest.mark.parametrize("raw", [b"", b"<html>busy</html>", b"[]", b"{}", b'{"message": 3}'])
def test_an_answer_that_is_none_is_an_error(ask: Any, gateway: FakeGateway, raw: bytes) -> None:
    gateway.raw = raw
    done = ask()
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("sizeup: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.0.0.1:1/"])
def test_without_a_gateway_it_says_how_to_start_one(ask: Any, url: str) -> None:
    done = ask("--url", url)
    assert (done.code, done.out) == (1, "")
    assert "make run" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("url", ["127.0.0.1:11434", "localhost:11434", "not a url"])
def test_an_address_that_is_none_is_told(ask: Any, url: str) -> None:
    done = ask("--url", url)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"sizeup: {url!r} is no address of a gateway: http://HOST:PORT\n"


def test_the_url_may_come_from_the_environment(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZEUP_URL", gateway.url + "/")
    assert Command(capsys, monkeypatch, "ask", "m", "hi").code == 0


def test_a_setting_that_makes_no_sense_is_one_line(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZEUP_ANSWER_SECONDS", "soon")
    done = ask()
    assert done.code == 1
    assert done.err.startswith("sizeup: setting answer_seconds: ")
