"""POST /v1/compare: OpenAI's shapes, and nothing at which its clients leave the stream."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.api.compare.compare_client import sse_chunks
from gateway.fake_inference import Script, refusing, responding_with
from gateway.sizes import FAMILY, Sizes, name_of, running_sizes
from sizeup_wire.errors import ErrorCode

SMALL, LARGE = name_of(0.5), name_of(7)
MESSAGES = [{"role": "user", "content": "What is 2 + 2?"}]
BODY: dict[str, Any] = {"family": FAMILY, "messages": MESSAGES, "stream": True}


def comparing(scenario: Callable[[Sizes], Awaitable[None]], small: Script, large: Script) -> None:
    async def run() -> None:
        async with running_sizes({0.5: small, 7: large}) as sizes:
            await scenario(sizes)

    asyncio.run(run())


def test_chunks_are_those_of_chat_completions() -> None:
    async def scenario(sizes: Sizes) -> None:
        status, headers, text = await sizes.gateway.post("/v1/compare", BODY | {"samples": 2})
        assert status == 200
        assert headers["content-type"].startswith("text/event-stream")
        chunks = sse_chunks(text)
        assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
        assert len({chunk["id"] for chunk in chunks}) == 1
        assert chunks[0]["compare"]["samples"] == 2
        assert chunks[-1]["compare"]["answered"] == 4
        for name in sizes.names:
            for sample in range(2):
                own = [c for c in chunks if (c["model"], c.get("sample")) == (name, sample)]
                choices = [choice for c in own for choice in c["choices"]]
                assert {choice["index"] for choice in choices} == {sample}
                deltas = [choice["delta"].get("content") or "" for choice in choices]
                assert "".join(deltas) == "It is 4"
                assert own[-1]["choices"][0]["finish_reason"] == "stop"
                assert own[-1]["usage"]["completion_tokens"] == 2
                assert own[-1]["figures"]["tokens"] == 2
                assert own[-1]["text"] == "It is 4"

    comparing(scenario, responding_with("It is", " 4"), responding_with("It is", " 4"))


def test_a_failure_is_no_error_of_the_stream() -> None:
    async def scenario(sizes: Sizes) -> None:
        _, _, text = await sizes.gateway.post("/v1/compare", BODY)
        chunks = sse_chunks(text)
        assert not any("error" in chunk for chunk in chunks)
        (failed,) = [chunk for chunk in chunks if "failure" in chunk]
        assert (failed["model"], failed["choices"]) == (SMALL, [])
        assert failed["failure"]["code"] == "internal"
        assert failed["failure"]["type"] == "server_error"
        assert chunks[-1]["compare"]["failed"] == 1

    comparing(scenario, refusing(ErrorCode.INTERNAL, 500), responding_with("4"))


def test_without_stream_it_is_one_object() -> None:
    async def scenario(sizes: Sizes) -> None:
        status, _, text = await sizes.gateway.post("/v1/compare", BODY | {"stream": False})
        assert status == 200
        body = json.loads(text)
        assert [r["model"] for r in body["responses"]] == sizes.names
        small, large = body["responses"]
        assert small["object"] == "chat.completion"
        assert small["choices"][0]["message"]["content"] == "5"
        assert large["figures"]["tokens"] == 1
        assert body["compare"]["agreement"]["smallest"] == LARGE

    comparing(scenario, responding_with("5"), responding_with("4"))


def test_openai_fields_reach_every_size() -> None:
    async def scenario(sizes: Sizes) -> None:
        body = BODY | {"temperature": 0.3, "max_completion_tokens": 5, "seed": 7, "stop": "x"}
        await sizes.gateway.post("/v1/compare", body)
        for replica in sizes.replicas.values():
            (request,) = replica.requests
            assert request.sampling.temperature == 0.3
            assert (request.max_tokens, request.seed, request.stop) == (5, 7, ("x",))

    comparing(scenario, responding_with("5"), responding_with("4"))


def test_n_is_rejected_in_favour_of_samples() -> None:
    async def scenario(sizes: Sizes) -> None:
        status, _, text = await sizes.gateway.post("/v1/compare", BODY | {"n": 2})
        assert status == 400
        assert json.loads(text)["error"]["param"] == "n"

    comparing(scenario, responding_with("5"), responding_with("4"))
