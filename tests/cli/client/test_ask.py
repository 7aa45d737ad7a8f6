import ast
import json
from typing import Any

import pytest

from cli.client.fake_gateway import FakeGateway
from cli.command import Command

RESPONSE = {
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


def test_the_output_is_one_python_dict(ask: Any) -> None:
    done = ask()
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "{'finish_reason': 'stop', 'prompt_length': 12, 'response_length': 5, "
        "'response_text': '42'}\n"
    )


def test_markup_and_newlines_stay_on_one_line(ask: Any, gateway: FakeGateway) -> None:
    gateway.chunks = ["[bold]it's\n", '"你好" ', "x" * 500]
    done = ask()
    assert done.out.count("\n") == 1
    assert ast.literal_eval(done.out)["response_text"] == "".join(gateway.chunks)


def test_json_output(ask: Any, gateway: FakeGateway) -> None:
    gateway.chunks = ["你好"]
    done = ask("--json")
    assert json.loads(done.out) == RESPONSE | {"response_text": "你好"}
    assert "你好" in done.out


def test_unset_options_are_not_sent(ask: Any, gateway: FakeGateway) -> None:
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
def test_a_malformed_response_is_an_error(ask: Any, gateway: FakeGateway, raw: bytes) -> None:
    gateway.raw = raw
    done = ask()
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("sizeup: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.0.0.1:1/"])
def test_the_error_without_a_gateway_names_the_command(ask: Any, url: str) -> None:
    done = ask("--url", url)
    assert (done.code, done.out) == (1, "")
    assert "make run" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("url", ["127.0.0.1:11434", "localhost:11434", "not a url"])
def test_an_invalid_url_is_rejected(ask: Any, url: str) -> None:
    done = ask("--url", url)
    assert (done.code, done.out) == (1, "")
    assert repr(url) in done.err


def test_the_api_key_comes_from_the_environment(
    ask: Any, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    monkeypatch.setenv("SIZEUP_API_KEY", "secret")
    ask()
    assert gateway.authorizations == [None, "Bearer secret"]


def test_the_url_may_come_from_the_environment(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZEUP_URL", gateway.url + "/")
    assert Command(capsys, monkeypatch, "ask", "m", "hi").code == 0


def test_an_invalid_setting_is_one_line(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIZEUP_ANSWER_SECONDS", "soon")
    done = ask()
    assert done.code == 1
    assert done.err.startswith("sizeup: setting answer_seconds: ")
