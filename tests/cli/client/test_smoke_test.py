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


def lines(*chunks: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(chunk).encode() + b"\n" for chunk in chunks)


def events(*chunks: dict[str, Any], end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks) + end


def choice(reason: str | None) -> dict[str, Any]:
    return {"choices": [{"finish_reason": reason}]}


VALID: dict[tuple[str, bool], bytes] = {
    ("/api/chat", False): lines(OLLAMA),
    ("/api/chat", True): lines({"done": False}, OLLAMA),
    ("/v1/chat/completions", False): lines({**choice("stop"), **USAGE}),
    ("/v1/chat/completions", True): events(choice(None), choice("stop"), {"choices": [], **USAGE}),
}
INVALID: list[tuple[str, bool, bytes]] = [
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
    ("/v1/chat/completions", True, events(choice("stop"), {"error": {"message": "failed"}})),
]


@dataclass
class FixedGateway:
    """A gateway with a fixed response body for each kind of call."""

    bodies: dict[tuple[str, bool], bytes] = field(default_factory=lambda: dict(VALID))
    states: dict[str, str] = field(default_factory=dict)
    capabilities: list[str] = field(default_factory=lambda: ["completion"])
    calls: list[tuple[str, str, bool]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    url: str = ""

    async def respond(self, request: web.Request) -> web.Response:
        body = await request.json()
        stream = body.get("stream", False)
        self.calls.append((body["model"], request.path, stream))
        self.keys.add(request.headers.get("Authorization"))
        return web.Response(body=self.bodies[request.path, stream])

    async def show(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers.get("Authorization"))
        return web.json_response({"capabilities": self.capabilities})

    async def state(self, request: web.Request) -> web.Response:
        return web.json_response({"state": self.states[request.match_info["name"]]})


@pytest.fixture
def fixed() -> Iterator[FixedGateway]:
    with running() as gateway:
        yield gateway


@contextmanager
def running() -> Iterator[FixedGateway]:
    gateway = FixedGateway()
    app = web.Application()
    app.router.add_post("/api/chat", gateway.respond)
    app.router.add_post("/v1/chat/completions", gateway.respond)
    app.router.add_post("/api/embed", gateway.respond)
    app.router.add_post("/v1/embeddings", gateway.respond)
    app.router.add_post("/api/show", gateway.show)
    app.router.add_get("/v1/models/{name}", gateway.state)
    with serving(app) as url:
        gateway.url = url
        yield gateway


@pytest.fixture
def check(
    fixed: FixedGateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    def run(*options: str) -> Command:
        return Command(capsys, monkeypatch, "check", "--url", fixed.url, *options)

    return run


def test_each_model_gets_four_requests(check: Any, fixed: FixedGateway) -> None:
    done = check("toy-2m", "toy-5m")
    assert (done.code, done.err) == (0, "")
    assert fixed.calls == [(m, p, s) for m in ("toy-2m", "toy-5m") for p, s in VALID]
    assert done.out.count(" 3 tokens, ") == 8


EMBEDDED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/api/embed": (
        {"embeddings": [[0.5]], "prompt_eval_count": 3},
        {"embeddings": [], "prompt_eval_count": 3},
    ),
    "/v1/embeddings": (
        {"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 3}},
        {"data": [{"embedding": []}], "usage": {"prompt_tokens": 3}},
    ),
}
"""A valid and an invalid response of each route."""


@pytest.mark.parametrize("valid", [True, False])
def test_a_model_that_does_not_generate_embeds(
    check: Any, fixed: FixedGateway, valid: bool
) -> None:
    fixed.capabilities = ["embedding"]
    for path, (good, bad) in EMBEDDED.items():
        fixed.bodies[path, False] = json.dumps(good if valid else bad).encode()
    done = check("embeds")
    assert done.code == (0 if valid else 1)
    assert fixed.calls == [("embeds", path, False) for path in EMBEDDED]
    assert done.out.count("FAILED" if not valid else " 3 tokens, ") == 2


@pytest.mark.parametrize(("path", "stream", "body"), INVALID)
def test_one_invalid_response_fails_the_check_after_all_requests(
    check: Any, fixed: FixedGateway, path: str, stream: bool, body: bytes
) -> None:
    fixed.bodies[path, stream] = body
    done = check("toy-5m")
    assert done.code == 1
    assert (done.out.count("FAILED"), done.out.count(" 3 tokens, ")) == (1, 3)


def test_if_ready_skips_a_model_that_is_not_ready(check: Any, fixed: FixedGateway) -> None:
    fixed.states = {"big": "unloaded", "small": "ready"}
    done = check("toy-5m", "--if-ready", "big", "--if-ready", "small")
    assert done.code == 0
    assert {model for model, *_ in fixed.calls} == {"toy-5m", "small"}
    assert "big  not ready: skipped" in done.out


def test_skipping_every_model_is_a_failure(check: Any, fixed: FixedGateway) -> None:
    fixed.states = {"big": "downloading", "small": "unloaded"}
    done = check("--if-ready", "big", "--if-ready", "small")
    assert (done.code, fixed.calls) == (1, [])
    assert "no model is ready" in done.out


def test_no_models_is_an_error(check: Any) -> None:
    done = check()
    assert done.code == 1
    assert "no models given" in done.err


def test_all_models_scaled_to_zero_is_a_success(check: Any, fixed: FixedGateway) -> None:
    fixed.states = {"big": "unloaded", "small": "unloaded"}
    done = check("--if-ready", "big", "--if-ready", "small")
    assert (done.code, fixed.calls) == (0, [])
    assert "scaled to zero" in done.out


def test_the_first_api_key_is_sent(check: Any, fixed: FixedGateway, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("\n# ours\nfirst requests_per_minute=60\nsecond\n")
    assert check("toy-5m", "--api-key-file", str(keys)).code == 0
    assert fixed.keys == {"Bearer first"}


def test_a_missing_or_empty_key_file_is_an_error(check: Any, tmp_path: Path) -> None:
    missing = check("toy-5m", "--api-key-file", str(tmp_path / "none"))
    assert (missing.code, "API key" in missing.err) == (1, True)
    (tmp_path / "keys").write_text("\n")
    empty = check("toy-5m", "--api-key-file", str(tmp_path / "keys"))
    assert (empty.code, "no API key" in empty.err) == (1, True)


def test_every_call_fails_without_a_gateway(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Command(capsys, monkeypatch, "check", "toy-5m", "--url", "http://127.0.0.1:9")
    assert (done.code, done.out.count("FAILED")) == (1, 4)


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_key_file_that_others_can_read_is_named(
    tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("key")
    keys.chmod(mode)
    options = ("--url", "http://127.0.0.1:9", "--api-key-file", str(keys))
    done = Command(capsys, monkeypatch, "check", "toy-5m", *options)
    assert (f"{keys} has mode 0644" in done.err) == (mode == 0o644)
