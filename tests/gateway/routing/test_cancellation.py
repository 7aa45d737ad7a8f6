"""A client that disconnects cancels its request in every phase."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.fake_inference import Script, fake_inference, started
from gateway.harness import KEY, MODEL, Gateway, running_gateway, until
from sizeup_wire.events import Event, Text
from sizeup_wire.generate import GenerateRequest

MESSAGES = [{"role": "user", "content": "hi"}]


async def queued(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    await asyncio.Event().wait()
    yield started()


async def prefilling(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    await asyncio.Event().wait()


async def decoding(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    while True:
        yield Text(text="x")
        await asyncio.sleep(0.001)


PHASES = pytest.mark.parametrize(
    ("script", "stream"),
    [(queued, True), (prefilling, True), (decoding, True), (decoding, False), (queued, False)],
    ids=["queued", "prefill", "decode", "non-streaming decode", "non-streaming queued"],
)


async def disconnect(gateway: Gateway, path: str, body: object, ready: Callable[[], bool]) -> None:
    """Send a request on a separate socket and close it once `ready`."""
    host, port = gateway.url.removeprefix("http://").split(":")
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(data)}\r\n\r\n"
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + data)
    await until(ready)
    writer.close()
    await writer.wait_closed()


@PHASES
@pytest.mark.parametrize(
    "path", ["/api/chat", "/v1/chat/completions", "/v1/responses", "/v1/messages"]
)
def test_a_disconnect_cancels_the_upstream_request(path: str, script: Script, stream: bool) -> None:
    async def scenario() -> None:
        async with fake_inference(script) as fake, running_gateway(fake) as gateway:
            fields = {"messages": MESSAGES, "input": MESSAGES, "max_tokens": 9}
            body = {"model": MODEL, "stream": stream, **fields}
            await disconnect(gateway, path, body, lambda: fake.live == 1)
            await until(lambda: fake.live == 0)
            await until(lambda: gateway.sample("requests_in_flight", model=KEY) == 0)
            outcome = {"model": KEY, "route": path, "outcome": "cancelled"}
            await until(lambda: gateway.sample("requests_total", **outcome) == 1)
        assert len(fake.requests) == fake.cancelled == 1

    asyncio.run(scenario())


def test_a_disconnect_cancels_every_prompt_of_a_batch() -> None:
    async def scenario() -> None:
        async with fake_inference(decoding) as fake, running_gateway(fake) as gateway:
            body = {"model": MODEL, "prompt": ["a", "b", "c"], "stream": True}
            await disconnect(gateway, "/v1/completions", body, lambda: fake.live == 3)
            await until(lambda: fake.live == 0)
        assert fake.cancelled == 3

    asyncio.run(scenario())


def test_many_disconnects_leak_nothing() -> None:
    async def scenario() -> None:
        async with fake_inference(decoding) as fake, running_gateway(fake) as gateway:
            body = {"model": MODEL, "messages": MESSAGES}
            before = len(asyncio.all_tasks())
            for _ in range(4):
                await asyncio.gather(
                    *[
                        disconnect(gateway, "/api/chat", body, lambda: fake.live > 0)
                        for _ in range(25)
                    ]
                )
                await until(lambda: fake.live == 0)
            await until(lambda: gateway.sample("requests_in_flight", model=KEY) == 0)
            await until(lambda: len(asyncio.all_tasks()) <= before)
            fake.script = prefilling
            await disconnect(gateway, "/api/chat", body, lambda: fake.live == 1)
            await until(lambda: fake.live == 0)

    asyncio.run(scenario())
