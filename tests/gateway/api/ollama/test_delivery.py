"""Whether /api/chat streams if the request leaves it open."""

import asyncio
import json

import pytest

from gateway.fake_inference import TOKENS, fake_inference
from gateway.harness import HUB_ID, MODEL, running_gateway
from sizeup_gateway.api.ollama.translate import Delivery, StreamDefault, delivery

STREAM = Delivery(streams=True)
SINGLE = Delivery(streams=False)
SEED = Delivery(streams=False, images=True)


@pytest.mark.parametrize(
    ("stream", "accept", "model", "default", "expected"),
    [
        (True, "application/json", HUB_ID, "never", STREAM),
        (False, "application/x-ndjson", MODEL, "always", SINGLE),
        (False, "", HUB_ID, "auto", SINGLE),
        (None, "application/x-ndjson", HUB_ID, "never", STREAM),
        (None, "text/html, application/x-ndjson;q=0.9", HUB_ID, "auto", STREAM),
        (None, "application/json", MODEL, "always", SINGLE),
        (None, "Application/JSON", HUB_ID, "auto", SINGLE),
        (None, "application/json, text/plain, */*", HUB_ID, "auto", SEED),
        (None, "*/*", HUB_ID, "auto", SEED),
        (None, "", HUB_ID, "auto", SEED),
        (None, "*/*", MODEL, "auto", STREAM),
        (None, "", MODEL, "auto", STREAM),
        (None, "*/*", HUB_ID, "always", STREAM),
        (None, "*/*", MODEL, "never", SEED),
    ],
)
def test_the_first_rule_that_applies_wins(
    stream: bool | None, accept: str, model: str, default: StreamDefault, expected: Delivery
) -> None:
    assert delivery(stream, accept, default, by_hub_id=model == HUB_ID) == expected


def test_a_request_by_hub_id_gets_one_object_with_images() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            body = {"model": HUB_ID, "messages": [{"role": "user", "content": "hi"}]}
            status, headers, text = await gateway.post("/api/chat", body)
        assert status == 200
        assert headers["Content-Type"].startswith("application/json")
        body = json.loads(text)
        assert body["created_at"].endswith("Z")
        assert {key: body[key] for key in ("done", "message", "model")} == {
            "done": True,
            "message": {"content": "".join(TOKENS), "images": None, "role": "assistant"},
            "model": HUB_ID,
        }

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "streams"),
    [
        (f"library/{MODEL}", True),
        (f"registry.ollama.ai/library/{MODEL.upper()}", True),
        (f"hf.co/{HUB_ID.lower()}:latest", False),
        (f"{HUB_ID}:Q4_K_M", False),
    ],
)
def test_only_a_hub_id_gets_one_object(name: str, streams: bool) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
            status, _, text = await gateway.post("/api/chat", body)
            lines = [json.loads(line) for line in text.splitlines()]
            assert (status, len(lines) > 1) == (200, streams)
            assert {line["model"] for line in lines} == {name}

    asyncio.run(scenario())


def test_generate_streams_by_default() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            body = {"model": HUB_ID, "prompt": "hi"}
            _, headers, text = await gateway.post("/api/generate", body)
            assert headers["Content-Type"] == "application/x-ndjson"
            lines = [json.loads(line) for line in text.splitlines()]
            assert [line["response"] for line in lines] == [*TOKENS, ""]
            _, _, text = await gateway.post("/api/generate", body | {"stream": False})
            assert json.loads(text)["response"] == "".join(TOKENS)

    asyncio.run(scenario())
