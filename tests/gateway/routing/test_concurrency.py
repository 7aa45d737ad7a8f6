import asyncio
import json
from collections.abc import AsyncIterator

from gateway.fake_inference import fake_inference, finished, started
from gateway.harness import KEY, MODEL, Gateway, running_gateway
from sizeup_wire.events import Event, Text
from sizeup_wire.generate import ChatPrompt, GenerateRequest

STREAMS = 200
CHUNKS = 20


async def numbered(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    """Number the chunks of each stream, to detect lost, duplicated or misrouted chunks."""
    assert isinstance(request.prompt, ChatPrompt)
    name = request.prompt.messages[-1].content
    yield started()
    for i in range(CHUNKS):
        yield Text(text=f"{name}:{i} ")
        await asyncio.sleep(0)
    yield finished(CHUNKS)


async def ask_ollama(gateway: Gateway, name: str) -> list[str]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": name}], "stream": True}
    _, _, text = await gateway.post("/api/chat", body)
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[-1]["done"] is True
    return [line["message"]["content"] for line in lines[:-1]]


async def ask_openai(gateway: Gateway, name: str) -> list[str]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": name}], "stream": True}
    _, _, text = await gateway.post("/v1/chat/completions", body)
    payloads = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert payloads[-1] == "[DONE]"
    choices = [json.loads(payload)["choices"][0] for payload in payloads[:-1]]
    assert choices[-1]["finish_reason"] == "stop"
    return [choice["delta"]["content"] for choice in choices[1:-1]]


def test_two_hundred_concurrent_streams_are_complete_and_in_order() -> None:
    async def scenario() -> None:
        async with fake_inference(numbered) as fake, running_gateway(fake) as gateway:
            pending = [
                (ask_ollama if i % 2 else ask_openai)(gateway, f"s{i}") for i in range(STREAMS)
            ]
            responses = await asyncio.gather(*pending)
            assert gateway.sample("requests_in_flight", model=KEY) == 0
        for i, chunks in enumerate(responses):
            assert chunks == [f"s{i}:{k} " for k in range(CHUNKS)]
        assert fake.live == 0

    asyncio.run(scenario())
