"""Paths with more slashes than their route."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.fake_inference import fake_inference
from gateway.harness import MODEL, running_gateway
from sizeup_gateway.middleware.paths import without_extra_slashes

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": False}


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/api/tags", "/api/tags"),
        ("/api/tags/", "/api/tags"),
        ("//api/chat", "/api/chat"),
        ("/v1//chat/completions//", "/v1/chat/completions"),
        ("/v1/models/Qwen/Qwen2.5-0.5B/", "/v1/models/Qwen/Qwen2.5-0.5B"),
    ],
)
def test_extra_slashes_are_dropped(path: str, served: str) -> None:
    assert without_extra_slashes(path) == served


def test_a_request_with_a_body_is_served_without_a_redirect(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("key", encoding="utf-8")

    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, api_keys_file=keys) as gateway,
        ):
            paths = ("//api/chat", "/api/chat/", "/v1/chat/completions/", "/v1//chat/completions")
            for path in paths:
                status, _, text = await gateway.post(path, CHAT, Authorization="Bearer key")
                assert (status, "error" in json.loads(text)) == (200, False)
                status, _, text = await gateway.post(path, CHAT)
                assert status == 401
                assert isinstance(json.loads(text)["error"], dict) == ("v1" in path)
            assert len(fake.requests) == len(paths)
            assert (await gateway.get("/health/"))[0] == 200
            label = "/v1/chat/completions"
            assert gateway.sample("requests_total", model="qwen2.5-0.5b", route=label, outcome="ok")

    asyncio.run(scenario())
