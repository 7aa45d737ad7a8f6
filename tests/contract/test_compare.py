"""Comparisons by the raw methods of the official clients."""

import asyncio
from collections.abc import Awaitable, Callable

import ollama
import openai
from openai.types.chat import ChatCompletionChunk

from gateway.fake_inference import refusing, responding_with
from gateway.sizes import FAMILY, Sizes, name_of, running_sizes
from sizeup_wire.errors import ErrorCode

SMALL, MIDDLE, LARGE = name_of(0.5), name_of(3), name_of(7)


def comparing(scenario: Callable[[Sizes], Awaitable[None]]) -> None:
    scripts = {
        0.5: responding_with("It is", " 4"),
        3: refusing(ErrorCode.INTERNAL, 500),
        7: responding_with("It is", " 4."),
    }

    async def run() -> None:
        async with running_sizes(scripts) as sizes:
            await scenario(sizes)

    asyncio.run(run())


def test_openai_reads_every_chunk_of_the_stream() -> None:
    async def scenario(sizes: Sizes) -> None:
        async with openai.AsyncOpenAI(
            base_url=f"{sizes.gateway.url}/v1", api_key="none", max_retries=0
        ) as client:
            stream = await client.post(
                "/compare",
                body={
                    "family": FAMILY,
                    "messages": [{"role": "user", "content": "2 + 2?"}],
                    "stream": True,
                },
                cast_to=ChatCompletionChunk,
                stream=True,
                stream_cls=openai.AsyncStream[ChatCompletionChunk],
            )
            chunks = [chunk async for chunk in stream]
        texts = dict.fromkeys((SMALL, LARGE), "")
        for chunk in chunks:
            for choice in chunk.choices:
                texts[chunk.model] += choice.delta.content or ""
        assert texts == {SMALL: "It is 4", LARGE: "It is 4."}
        (failed,) = [c for c in chunks if "failure" in (c.model_extra or {})]
        assert failed.model == MIDDLE
        last = chunks[-1].model_extra or {}
        assert last["compare"]["agreement"]["smallest"] == SMALL

    comparing(scenario)


def test_ollama_reads_every_line_of_the_stream() -> None:
    async def scenario(sizes: Sizes) -> None:
        async with ollama.AsyncClient(host=sizes.gateway.url) as client:
            body = {"family": FAMILY, "prompt": "2 + 2?"}
            lines = await client._request(dict, "POST", "/api/compare", json=body, stream=True)
            chunks = [line async for line in lines]
        texts = dict.fromkeys((SMALL, LARGE), "")
        for chunk in chunks:
            if "message" in chunk:
                texts[chunk["model"]] += chunk["message"]["content"]
        assert texts == {SMALL: "It is 4", LARGE: "It is 4."}
        assert chunks[-1]["compare"]["answered"] == 2

    comparing(scenario)
