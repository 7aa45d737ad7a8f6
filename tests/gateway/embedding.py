"""One gateway and one replica that embeds."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.embed_script import EmbedScript
from gateway.fake_inference import FakeInference, fake_inference
from gateway.harness import MODEL, Gateway, running_gateway

EMBED, LEGACY, OPENAI = "/api/embed", "/api/embeddings", "/v1/embeddings"
ALL = pytest.mark.parametrize("path", [EMBED, LEGACY, OPENAI])
BODY = {"model": MODEL, "input": "a", "prompt": "a"}
Scenario = Callable[[Gateway, FakeInference], Awaitable[None]]


def serving(scenario: Scenario, script: EmbedScript | None = None, **changes: Any) -> None:
    async def run() -> None:
        async with fake_inference() as fake:
            fake.embed_script = script or fake.embed_script
            async with running_gateway(fake, **changes) as gateway:
                await scenario(gateway, fake)

    asyncio.run(run())


def answer(path: str, body: dict[str, Any], script: EmbedScript | None = None) -> tuple[int, Any]:
    found: list[tuple[int, Any]] = []

    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        status, _, text = await gateway.post(path, body)
        found.append((status, json.loads(text)))

    serving(scenario, script)
    return found[0]
