"""Batches of prompts to embed, over real sockets and the fake engine."""

import asyncio
import base64
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from inference.serving import Process, chat_prompt, running, served, text_prompt, until
from sizeup_inference.app import Composition
from sizeup_inference.fake.engine import FakeLimits
from sizeup_inference.settings import Settings
from sizeup_telemetry.drain import Drain
from sizeup_wire import routes
from sizeup_wire.embeddings import Embedding, EmbedEvent
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Failed, Finished, Started

STUCK = FakeLimits(token_seconds=600.0)


def components(event: EmbedEvent) -> tuple[float, ...]:
    assert isinstance(event, Embedding)
    content = base64.b64decode(event.vector)
    return struct.unpack(f"<{len(content) // 4}f", content)


def embed(*texts: str, settings: dict[str, Any] | None = None, **request: Any) -> list[EmbedEvent]:
    async def scenario() -> list[EmbedEvent]:
        async with running(**settings or {}) as process:
            return await process.embed(*texts, **request)

    return asyncio.run(scenario())


def test_a_stream_has_the_vectors_in_order_and_the_counts() -> None:
    started, *embeddings, finished = embed("a", "bb", "a")
    assert isinstance(started, Started)
    assert started.prompt_tokens == 1
    a, b, again = map(components, embeddings)
    assert a == again != b
    assert [e.index for e in embeddings if isinstance(e, Embedding)] == [0, 1, 2]
    assert [e.prompt_tokens for e in embeddings if isinstance(e, Embedding)] == [1, 2, 1]
    assert isinstance(finished, Finished)
    assert (finished.prompt_tokens, finished.completion_tokens) == (4, 0)
    assert finished.prompt_eval_ns > 0


def test_a_batch_waits_for_itself_where_the_queue_is_smaller() -> None:
    async def scenario() -> None:
        async with running(FakeLimits(max_num_seqs=2, max_waiting=3)) as process:
            events = await process.embed(*"abcdefghijklmnopqrstuvwxyz")
            assert sum(isinstance(event, Embedding) for event in events) == 26
            assert isinstance(events[-1], Finished)
            assert process.sample("requests_total", outcome="ok") == 1

    asyncio.run(scenario())


async def begin(process: Process, texts: Sequence[str]) -> asyncio.Task[list[EmbedEvent]]:
    """Send a batch, and wait until the engine has something of it."""
    task = asyncio.create_task(process.embed(*texts))
    await until(lambda: process.engine.stats().running > 0)
    return task


@pytest.mark.parametrize(
    ("texts", "most"), [(["x" * 2000] * 5, 1), (["x" * 300] * 9, 4), (["x"] * 99, 16)]
)
def test_a_batch_takes_a_bounded_part_of_the_engine_and_is_cancelled_with_its_client(
    texts: list[str], most: int
) -> None:
    async def scenario() -> None:
        async with running(STUCK) as process:
            task = await begin(process, texts)
            await until(lambda: process.engine.stats().running == most)
            await process.get(routes.STATS)
            assert process.engine.stats().running == most
            task.cancel()
            await until(lambda: process.engine.stats().running == 0)
            await until(lambda: process.sample("requests_total", outcome="cancelled") == 1)

    asyncio.run(scenario())


def test_a_full_queue_is_busy() -> None:
    async def scenario() -> None:
        limits = FakeLimits(token_seconds=600.0, max_num_seqs=1, max_waiting=0)
        async with running(limits) as process:
            other = await begin(process, ["x"])
            status, failure = await process.post(routes.EMBEDDINGS, {"prompts": [text_prompt("x")]})
            assert (status, failure["code"]) == (503, ErrorCode.BUSY)
            other.cancel()

    asyncio.run(scenario())


def test_each_prompt_in_the_engine_holds_a_place() -> None:
    async def scenario() -> None:
        limits = FakeLimits(token_seconds=600.0, max_num_seqs=14, max_waiting=2)
        async with running(limits, max_num_seqs=14, max_waiting=2) as process:
            greedy = asyncio.create_task(process.embed(*["x"] * 99, client="greedy"))
            await until(lambda: process.engine.stats().running == 14)  # and 2 of 16 are left
            polite = [
                asyncio.create_task(process.embed("x", client=f"polite {i}")) for i in range(2)
            ]
            await until(lambda: process.engine.stats().waiting == 2)
            for task in (greedy, *polite):
                task.cancel()
            await until(lambda: process.engine.stats().running == 0)

    asyncio.run(scenario())


@pytest.mark.parametrize(("text", "param"), [("", "prompt"), ("x" * 21, "prompts")])
def test_an_error_is_a_status_before_the_stream_and_an_event_in_it(text: str, param: str) -> None:
    async def scenario() -> None:
        async with running(max_model_len=20) as process:
            body = {"prompts": [text_prompt(text), text_prompt("x")], "truncate": False}
            status, failure = await process.post(routes.EMBEDDINGS, body)
            assert (status, failure["param"]) == (400, param)
            *embedded, failed = await process.embed(*["x"] * 40, text, truncate=False)
            assert len(embedded) > 1
            assert isinstance(failed, Failed)
            assert (failed.code, failed.param) == (failure["code"], param)
            assert process.sample("requests_total", outcome=failed.code) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(("max_context", "tokens"), [(None, 20), (5, 5), (1, 1), (99, 20)])
def test_a_long_prompt_is_cut_at_its_end(max_context: int | None, tokens: int) -> None:
    cut = embed("ab" * 30, settings={"max_model_len": 20}, max_context=max_context)
    whole = embed(("ab" * 30)[:tokens])
    assert isinstance(cut[-1], Finished)
    assert cut[-1].prompt_tokens == tokens
    assert components(cut[1]) == components(whole[1])


def test_token_ids_out_of_the_vocabulary_are_rejected() -> None:
    async def scenario() -> tuple[int, Any]:
        async with running() as process:
            prompts = [{"kind": "tokens", "token_ids": [1, 999]}]
            return await process.post(routes.EMBEDDINGS, {"prompts": prompts})

    status, failure = asyncio.run(scenario())
    assert (status, failure["code"], failure["param"]) == (400, "invalid_request", "prompts")


def test_a_vector_is_cut_and_normalized_as_requested() -> None:
    whole = components(embed("aabj")[1])  # a histogram of the bytes modulo 8
    assert sorted(whole) == [0, 0, 0, 0, 0, 0, 2, 2]
    short = components(embed("aabj", dimensions=2, normalize=True)[1])
    assert short == (0.0, 1.0)


def test_a_batch_that_was_accepted_ends_while_the_process_drains() -> None:
    async def scenario() -> None:
        async with running(FakeLimits(token_seconds=0.05)) as process:
            task = await begin(process, ["x"] * 40)
            process.drain.begin()
            assert isinstance((await task)[-1], Finished)
            status, failure = await process.post(routes.EMBEDDINGS, {"prompts": [text_prompt("x")]})
            assert (status, failure["code"]) == (503, ErrorCode.DRAINING)

    asyncio.run(scenario())


def test_the_drain_deadline_ends_a_batch() -> None:
    async def scenario() -> None:
        async with running(STUCK) as process:
            task = await begin(process, ["x"] * 40)
            process.drain.expire()
            failed = (await task)[-1]
            assert isinstance(failed, Failed)
            assert failed.code is ErrorCode.DRAINING

    asyncio.run(scenario())


def test_a_model_made_for_embeddings_pools_as_its_files_say_and_does_not_generate(
    tmp_path: Path,
) -> None:
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_lasttoken": true}')

    async def scenario() -> None:
        settings = Settings(model=str(tmp_path), engine="fake", fake_token_seconds=0)
        composition = Composition(settings, Drain(), CollectorRegistry(), lambda: None)
        async with served(composition, [], []) as process:
            await process.until_readyz(200, {"state": "ready"})
            assert (await process.get(routes.MODEL))[1]["capabilities"] == ["embedding"]
            (vector,) = map(components, (await process.embed("aab"))[1:-1])
            assert vector == (0, 0, 1, 0, 0, 0, 0, 0)
            for prompt, param in (
                (chat_prompt("x"), "prompt.messages"),
                (text_prompt("x"), "prompt.text"),
                ({"kind": "auto", "text": "x"}, "prompt.text"),
                ({"kind": "tokens", "token_ids": [1]}, "prompt.token_ids"),
            ):
                status, failure = await process.post(routes.GENERATE, {"prompt": prompt})
                assert (status, failure["code"]) == (400, ErrorCode.UNSUPPORTED)
                assert failure["param"] == param

    asyncio.run(scenario())
