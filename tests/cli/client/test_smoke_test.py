import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cli.client.fake_gateway import serving
from cli.command import Command

OLLAMA = {"done": True, "done_reason": "stop", "eval_count": 3}
USAGE = {"usage": {"completion_tokens": 3}}


def lines(*answers: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(answer).encode() + b"\n" for answer in answers)


def events(*chunks: dict[str, Any], end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks) + end


def choice(reason: str | None) -> dict[str, Any]:
    return {"choices": [{"finish_reason": reason}]}


RIGHT: dict[tuple[str, bool], bytes] = {
    ("/api/chat", False): lines(OLLAMA),
    ("/api/chat", True): lines({"done": False}, OLLAMA),
    ("/v1/chat/completions", False): lines({**choice("stop"), **USAGE}),
    ("/v1/chat/completions", True): events(choice(None), choice("stop"), {"choices": [], **USAGE}),
}
WRONG: list[tuple[str, bool, bytes]] = [
    ("/api/chat", False, lines({"error": "model is loading"})),
    ("/api/chat", False, b"<html>"),
    ("/api/chat", False, lines({**OLLAMA, "eval_count": 0})),
    ("/api/chat", False, lines({"done": True, "eval_count": 3})),
    ("/api/chat", True, lines({"done": False})),
    ("/api/chat", True, lines(OLLAMA, OLLAMA)),
    ("/api/chat", True, b""),
    ("/v1/chat/completions", False, lines({**choice(None), **USAGE})),
    ("/v1/chat/completions", True, events(choice("stop"), USAGE, end=b"")),
    ("/v1/chat/completions", True, events(choice("stop"), choice("stop"), USAGE)),
    ("/v1/chat/completions", True, events(choice("stop"), {"error": {"message": "gone"}})),
]


@dataclass
class Answers:
    """A gateway that answers each kind of call with a given body."""

    bodies: dict[tuple[str, bool], bytes] = field(default_factory=lambda: dict(RIGHT))
    states: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append((body["model"], request.path, body["stream"]))
        self.keys.add(request.headers.get("Authorization"))
        return web.Response(body=self.bodies[request.path, body["stream"]])

    async def state(self, request: web.Request) -> web.Response:
        return web.json_response({"state": self.states[request.match_info["name"]]})


@pytest.fixture
def answers() -> Iterator[Answers]:
    with running() as gateway:
        yield gateway


@contextmanager
def running() -> Iterator[Answers]:
    gateway = Answers()
    app = web.Application()
    app.router.add_post("/api/chat", gateway.answer)
    app.router.add_post("/v1/chat/completions", gateway.answer)
    app.router.add_get("/v1/models/{name}", gateway.state)
    with serving(app) as url:
        gateway.url = url
        yield gateway


@pytest.fixture
def check(
    answers: Answers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    def run(*options: str) -> Command:
        return Command(capsys, monkeypatch, "check", "--url", answers.url, *options)

    return run


def test_each_model_is_asked_on_both_apis_whole_and_streamed(check: Any, answers: Answers) -> None:
    done = check("toy-2m", "toy-5m")
    assert (done.code, done.err) == (0, "")
    assert answers.asked == [(m, p, s) for m in ("toy-2m", "toy-5m") for p, s in RIGHT]
    assert done.out.count(" 3 tokens, ") == 8


@pytest.mark.parametrize(("path", "stream", "body"), WRONG)
def test_one_wrong_answer_fails_the_check_and_the_others_are_still_asked(
    check: Any, answers: Answers, path: str, stream: bool, body: bytes
) -> None:
    answers.bodies[path, stream] = body
    done = check("toy-5m")
    assert done.code == 1
    assert (done.out.count("FAILED"), done.out.count(" 3 tokens, ")) == (1, 3)


def test_a_model_that_may_be_unready_is_asked_only_when_it_is_ready(
    check: Any, answers: Answers
) -> None:
    answers.states = {"big": "unloaded", "small": "ready"}
    done = check("toy-5m", "--if-ready", "big", "--if-ready", "small")
    assert done.code == 0
    assert {model for model, *_ in answers.asked} == {"toy-5m", "small"}
    assert "big  not ready: skipped" in done.out


def test_a_check_that_asked_nobody_has_shown_nothing(check: Any, answers: Answers) -> None:
    answers.states = {"big": "downloading", "small": "unloaded"}
    done = check("--if-ready", "big", "--if-ready", "small")
    assert (done.code, answers.asked) == (1, [])
    assert "no model is ready" in done.out


def test_a_check_of_nothing_is_a_mistake(check: Any) -> None:
    done = check()
    assert done.code == 1
    assert "name a model" in done.err


def test_models_that_all_sleep_are_no_failure(check: Any, answers: Answers) -> None:
    answers.states = {"big": "unloaded", "small": "unloaded"}
    done = check("--if-ready", "big", "--if-ready", "small")
    assert (done.code, answers.asked) == (0, [])
    assert "every model sleeps" in done.out


def test_the_first_key_of_the_gateways_file_is_sent(
    check: Any, answers: Answers, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\nfirst\nsecond\n")
    assert check("toy-5m", "--api-key-file", str(keys)).code == 0
    assert answers.keys == {"Bearer first"}


def test_a_missing_or_empty_key_file_is_said(check: Any, tmp_path: Path) -> None:
    missing = check("toy-5m", "--api-key-file", str(tmp_path / "none"))
    assert (missing.code, "no API key" in missing.err) == (1, True)
    (tmp_path / "keys").write_text("\n")
    empty = check("toy-5m", "--api-key-file", str(tmp_path / "keys"))
    assert (empty.code, "is empty" in empty.err) == (1, True)


def test_nobody_at_the_address_fails_every_call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Command(capsys, monkeypatch, "check", "toy-5m", "--url", "http://127.0.0.1:9")
    assert (done.code, done.out.count("FAILED")) == (1, 4)
