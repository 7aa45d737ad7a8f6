"""Three sizes behind a gateway, and one comparison of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from gateway.fake_inference import Script, started
from gateway.sizes import FAMILY, Sizes, name_of, running_sizes
from sizeup_wire.events import Event, Text
from sizeup_wire.generate import GenerateRequest

SMALL, MIDDLE, LARGE = name_of(0.5), name_of(3), name_of(7)
PROMPT: dict[str, Any] = {"family": FAMILY, "prompt": "What is 2 + 2?"}
Scenario = Callable[[Sizes], Awaitable[None]]


def comparing(
    scenario: Scenario, small: Script, middle: Script, large: Script, **changes: Any
) -> None:
    async def run() -> None:
        async with running_sizes({0.5: small, 3: middle, 7: large}, **changes) as sizes:
            await scenario(sizes)

    asyncio.run(run())


def endless(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    async def script() -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="so far")
        await asyncio.Event().wait()

    return script()
