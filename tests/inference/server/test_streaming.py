"""Streams over real sockets: complete, rejected, abandoned, drained, failed."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from inference.serving import (
    DEADLINE_SECONDS,
    Process,
    read_stream,
    running,
    text_prompt,
    until,
)
from sizeup_inference.engine.protocol import EngineRequest
from sizeup_inference.fake.engine import FakeLimits
from sizeup_inference.fake.model import IM_END
from sizeup_wire import routes
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    PromptTokens,
    Started,
    Text,
    event_adapter,
)

HEAD = f"POST {routes.GENERATE} HTTP/1.1\r\nHost: localhost\r\n"
SLOW = FakeLimits(token_seconds=0.02)
STUCK = FakeLimits(token_seconds=600.0, max_num_seqs=1, max_waiting=2)
"""Admits one request and keeps it in prefill for longer than any test."""


def text_of(events: list[Event], choice: int = 0) -> str:
    return "".join(e.text for e in events if isinstance(e, Text) and e.choice == choice)


def test_a_stream_is_started_then_text_then_finished() -> None:
    async def scenario() -> list[Event]:
        async with running() as process:
            return await process.generate(prompt=text_prompt("Hi 你🙂"))

    started, *texts, finished = asyncio.run(scenario())
    assert isinstance(started, Started)
    assert started.prompt_tokens == 10
    # Empty text is sent for steps within a character.
    pieces = [event.text for event in texts if isinstance(event, Text) and event.text]
    assert pieces == ["H", "i", " ", "你", "🙂"]
    assert isinstance(finished, Finished)
    assert finished.reasons == (FinishReason.STOP,)
    assert (finished.prompt_tokens, finished.completion_tokens) == (10, 11)


def test_echo_sends_the_prompt_with_logprobs_first() -> None:
    async def scenario() -> list[Event]:
        async with running() as process:
            return await process.generate(
                prompt=text_prompt("ab" * 200), echo=True, logprobs=1, max_tokens=1
            )

    started, *pieces, text, finished = asyncio.run(scenario())
    assert isinstance(started, Started)
    tokens = [token for e in pieces if isinstance(e, PromptTokens) for token in e.tokens]
    assert [token.logprob for token in tokens] == [None, *(-float(i) for i in range(1, 400))]
    assert "".join(e.text for e in pieces if isinstance(e, PromptTokens)) == "ab" * 200
    assert isinstance(text, Text)
    assert text.text == "a"
    assert isinstance(finished, Finished)
    assert (finished.prompt_tokens, finished.completion_tokens) == (400, 1)


def test_events_are_sent_as_tokens_are_generated() -> None:
    """The first text is read while the engine blocks before the second token."""
    proceed = threading.Event()

    def script(_request: EngineRequest, _choice: int) -> Iterator[int]:
        yield ord("a")
        proceed.wait(DEADLINE_SECONDS)
        yield IM_END

    async def scenario() -> tuple[bytes, bool]:
        async with (
            running(script=script) as process,
            process.stream(prompt=text_prompt("x")) as response,
        ):
            await response.content.readline()
            first = await response.content.readline()
            was_set = proceed.is_set()
            proceed.set()
            await response.content.read()
            return first, was_set

    first, was_set = asyncio.run(scenario())
    assert event_adapter.validate_json(first) == Text(text="a")
    assert not was_set


def test_two_hundred_concurrent_streams_are_complete() -> None:
    async def scenario() -> tuple[list[str], Process]:
        async with running(FakeLimits(max_num_seqs=64)) as process:
            prompts = [f"stream {i} 你好🙂" * 5 for i in range(200)]
            answers = await asyncio.gather(
                *(process.generate(prompt=text_prompt(prompt)) for prompt in prompts)
            )
            assert [text_of(answer) for answer in answers] == prompts
            assert all(isinstance(answer[-1], Finished) for answer in answers)
            stats = process.engine.stats()
            assert (stats.running, stats.waiting, stats.pages_used) == (0, 0, 0)
            return prompts, process

    _, process = asyncio.run(scenario())
    assert process.sample("requests_total", outcome="ok") == 200


def test_a_full_queue_returns_busy() -> None:
    async def scenario() -> tuple[int, Any, str | None]:
        async with running(STUCK) as process, asyncio.TaskGroup() as group:
            tasks = [group.create_task(read_stream(process)) for _ in range(3)]
            await until(lambda: process.engine.stats().waiting == 2)
            async with process.http.post(
                process.url + routes.GENERATE, json={"prompt": text_prompt("x")}
            ) as response:
                rejection = response.status, await response.json(), response.headers["Retry-After"]
            for task in tasks:
                task.cancel()
            return rejection

    status, body, retry_after = asyncio.run(scenario())
    assert status == 503
    assert body["code"] == ErrorCode.BUSY
    assert retry_after == "1"


async def disconnect_when(process: Process, condition: Any) -> None:
    task = asyncio.create_task(read_stream(process))
    await until(condition)
    task.cancel()
    await asyncio.wait((task,))


def idle(process: Process) -> bool:
    stats = process.engine.stats()
    return (stats.running, stats.waiting, stats.pages_used) == (0, 0, 0)


def test_disconnecting_in_the_queue_frees_the_slot() -> None:
    async def scenario() -> float:
        async with running(STUCK) as process:
            first = asyncio.create_task(read_stream(process))
            await until(lambda: process.engine.stats().running == 1)
            await disconnect_when(process, lambda: process.engine.stats().waiting == 1)
            await until(lambda: process.engine.stats().waiting == 0)
            first.cancel()
            await until(lambda: idle(process))
            await until(lambda: process.sample("requests_total", outcome="cancelled") == 2)
            return process.sample("requests_total", outcome="cancelled")

    assert asyncio.run(scenario()) == 2


def test_disconnecting_in_prefill_frees_the_pages() -> None:
    async def scenario() -> None:
        async with running(STUCK) as process:
            await disconnect_when(process, lambda: process.engine.stats().pages_used > 0)
            await until(lambda: idle(process))

    asyncio.run(scenario())


def test_disconnecting_in_decode_frees_the_pages() -> None:
    async def scenario() -> None:
        async with running(SLOW) as process:
            request = {"prompt": text_prompt("abc"), "ignore_eos": True}
            async with process.http.post(process.url + routes.GENERATE, json=request) as response:
                for _ in range(4):
                    await response.content.readline()
            await until(lambda: idle(process))
            await until(lambda: process.sample("requests_total", outcome="cancelled") == 1)

    asyncio.run(scenario())


def test_disconnecting_while_sending_is_no_error() -> None:
    async def scenario() -> None:
        async with running() as process:
            port = int(process.url.rsplit(":", 1)[1])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{HEAD}Content-Length: 99\r\n\r\n{{".encode())
            await writer.drain()
            writer.close()
            await until(lambda: process.sample("requests_total", outcome="cancelled") == 1)
            assert await process.generate(prompt=text_prompt("x"))

    asyncio.run(scenario())


def test_a_client_that_does_not_read_is_cancelled() -> None:
    """Socket and mailbox fill up; then the engine request is cancelled."""

    async def scenario() -> None:
        async with running(send_buffer=4096, max_model_len=1_000_000) as process:
            port = int(process.url.rsplit(":", 1)[1])
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(client, ("127.0.0.1", port))
                body = json.dumps({"prompt": text_prompt("abc"), "ignore_eos": True}).encode()
                head = f"{HEAD}Content-Length: {len(body)}"
                await loop.sock_sendall(client, head.encode() + b"\r\n\r\n" + body)
                await until(lambda: process.engine.stats().completion_tokens > 0)
                await until(lambda: idle(process))
                assert process.engine.stats().completion_tokens < 900_000

    asyncio.run(scenario())


def test_draining_fails_streams_at_the_deadline_and_rejects_new_ones() -> None:
    async def scenario() -> tuple[list[Event], tuple[int, Any], tuple[int, Any]]:
        async with running(SLOW) as process, asyncio.TaskGroup() as group:
            stream = group.create_task(process.generate(prompt=text_prompt("abc"), ignore_eos=True))
            await until(lambda: process.engine.stats().completion_tokens > 3)
            process.drain.begin()
            rejected = await process.post(routes.GENERATE, {"prompt": text_prompt("x")})
            ready = await process.get(routes.READYZ)
            assert not stream.done()
            process.drain.expire()
            events = await stream
            await until(lambda: idle(process))
            return events, rejected, ready

    events, rejected, ready = asyncio.run(scenario())
    assert isinstance(events[-1], Failed)
    assert events[-1].code is ErrorCode.DRAINING
    assert rejected[0] == 503
    assert rejected[1]["code"] == ErrorCode.DRAINING
    assert ready == (503, {"state": "draining"})


def test_every_stream_fails_when_the_engine_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sizeup_inference.app._WATCH_SECONDS", 0.01)
    all_run = threading.Event()

    def script(_request: EngineRequest, _choice: int) -> Iterator[int]:
        while not all_run.is_set():
            yield ord("a")
        raise ValueError("injected bug")

    async def scenario() -> None:
        async with running(SLOW, script) as process, asyncio.TaskGroup() as group:
            streams = [
                group.create_task(process.generate(prompt=text_prompt("abc"))) for _ in range(5)
            ]
            await until(lambda: process.engine.stats().running == 5)
            all_run.set()
            answers = await asyncio.gather(*streams)
            for answer in answers:
                assert isinstance(answer[-1], Failed)
                assert answer[-1].code is ErrorCode.INTERNAL
            status, state = await process.get(routes.READYZ)
            assert (status, state) == (503, {"state": "dead"})
            status, failure = await process.post(routes.GENERATE, {"prompt": text_prompt("x")})
            assert (status, failure["code"]) == (503, ErrorCode.NOT_READY)
            assert (await process.get(routes.LIVEZ))[0] == 200
            await until(lambda: process.fatal == ["fatal"])

    asyncio.run(scenario())
