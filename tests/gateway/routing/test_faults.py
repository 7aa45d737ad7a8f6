"""Errors that clients receive when a replica fails."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.fake_inference import (
    FakeInference,
    KillConnection,
    Script,
    events,
    fake_inference,
    finished,
    refusing,
    responding_with,
    started,
)
from gateway.harness import HUB_ID, KEY, MODEL, catalog, running_gateway, until
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Text
from sizeup_wire.generate import GenerateRequest

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": MODEL, "messages": MESSAGES, "stream": True}
BOTH = pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])


async def killed_midway(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    yield started()
    yield Text(text="one")
    yield Text(text="two")
    raise KillConnection


async def killed_before_the_first_event(
    _request: GenerateRequest,
) -> AsyncIterator[Event | bytes]:
    raise KillConnection
    yield


async def ask(path: str, script: Script, stream: bool = True) -> tuple[int, str, FakeInference]:
    async with fake_inference(script) as fake, running_gateway(fake) as gateway:
        status, _, text = await gateway.post(path, CHAT | {"stream": stream})
        return status, text, fake


def assert_ends_in_error(path: str, text: str, chunks: int) -> None:
    """Assert this number of chunks, then exactly one error, and no normal end."""
    if path.startswith("/api"):
        lines = [json.loads(line) for line in text.splitlines()]
        assert [set(line) for line in lines[chunks:]] == [{"error"}]
        assert isinstance(lines[-1]["error"], str)
        assert not any(line.get("done") for line in lines)
        return
    payloads = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert payloads[-1] == "[DONE]"
    objects = [json.loads(payload) for payload in payloads[:-1]]
    assert [set(o) for o in objects[chunks + 1 :]] == [{"error"}]
    assert set(objects[-1]["error"]) == {"message", "type", "param", "code"}
    assert not any(c["finish_reason"] for o in objects[:-1] for c in o["choices"])


@BOTH
@pytest.mark.parametrize(
    "script",
    [
        killed_midway,
        events(started(), Text(text="one"), Text(text="two")),
        events(started(), Text(text="one"), Text(text="two"), b"not json"),
        events(started(), Text(text="one"), Text(text="two"), b'{"event":"unknown"}'),
        events(
            started(),
            Text(text="one"),
            Text(text="two"),
            Failed(code=ErrorCode.INTERNAL, message="x"),
        ),
    ],
    ids=["killed", "stream without a final event", "garbage", "unknown event", "failed"],
)
def test_an_interrupted_stream_ends_with_an_explicit_error(path: str, script: Script) -> None:
    status, text, fake = asyncio.run(ask(path, script))
    assert status == 200
    assert_ends_in_error(path, text, chunks=2)
    assert len(fake.requests) == 1


@BOTH
def test_an_interrupted_whole_response_is_an_error_status(path: str) -> None:
    status, text, fake = asyncio.run(ask(path, killed_midway, stream=False))
    assert status == 502
    assert "error" in json.loads(text)
    assert len(fake.requests) == 1


@BOTH
def test_a_killed_process_ends_every_stream_within_a_second(path: str) -> None:
    async def scenario() -> None:
        async def endless(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            yield started()
            yield Text(text="one")
            await asyncio.Event().wait()

        async with fake_inference(endless) as fake, running_gateway(fake) as gateway:
            pending = [asyncio.create_task(gateway.post(path, CHAT)) for _ in range(10)]
            tokens = "time_to_first_token_seconds_count"
            await until(lambda: gateway.sample(tokens, model=KEY) == 10)
            await fake.stop()
            async with asyncio.timeout(1.0):
                responses = await asyncio.gather(*pending)
        for status, _, text in responses:
            assert status == 200
            assert_ends_in_error(path, text, chunks=1)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("code", "upstream", "ollama", "openai", "retry_after"),
    [
        (ErrorCode.INVALID_REQUEST, 400, 400, 400, False),
        (ErrorCode.CONTEXT_LENGTH_EXCEEDED, 400, 400, 400, False),
        (ErrorCode.UNSUPPORTED, 400, 400, 400, False),
        (ErrorCode.BUSY, 503, 503, 429, True),
        (ErrorCode.NOT_READY, 503, 503, 503, True),
        (ErrorCode.DRAINING, 503, 503, 503, True),
        (ErrorCode.INTERNAL, 500, 500, 500, False),
        (ErrorCode.TIMEOUT, 504, 504, 504, False),
    ],
)
def test_upstream_errors_are_mapped_in_both_dialects(
    code: ErrorCode, upstream: int, ollama: int, openai: int, retry_after: bool
) -> None:
    async def scenario() -> None:
        script = refusing(code, upstream, "because")
        async with fake_inference(script) as fake, running_gateway(fake) as gateway:
            status, headers, text = await gateway.post("/api/chat", CHAT)
            assert (status, "Retry-After" in headers) == (ollama, retry_after)
            assert isinstance(json.loads(text)["error"], str)
            await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)
            status, headers, text = await gateway.post("/v1/chat/completions", CHAT)
            assert (status, "Retry-After" in headers) == (openai, retry_after)
            assert set(json.loads(text)["error"]) == {"message", "type", "param", "code"}

    asyncio.run(scenario())


def test_a_full_queue_has_the_message_that_clients_compare() -> None:
    status, text, _ = asyncio.run(ask("/api/chat", refusing(ErrorCode.BUSY, 503)))
    assert status == 503
    assert json.loads(text) == {
        "error": "server busy, please try again.  maximum pending requests exceeded"
    }
    status, text, _ = asyncio.run(ask("/v1/chat/completions", refusing(ErrorCode.BUSY, 503)))
    assert (status, json.loads(text)["error"]["code"]) == (429, "rate_limit_exceeded")


@pytest.mark.parametrize(
    "broken",
    [
        killed_before_the_first_event,
        refusing(ErrorCode.NOT_READY, 503),
        refusing(ErrorCode.DRAINING, 503),
        events(),
        events(Failed(code=ErrorCode.DRAINING, message="x")),
    ],
    ids=["killed", "not ready", "draining", "empty", "drained while queued"],
)
def test_a_request_is_retried_once_on_another_replica(broken: Script) -> None:
    async def scenario() -> None:
        async with (
            fake_inference(broken) as bad,
            fake_inference(responding_with("good")) as good,
            running_gateway(bad, good, probe_interval_seconds=60) as gateway,
        ):
            status, _, text = await gateway.post("/api/chat", CHAT)
            retries = gateway.sample("upstream_retries_total", model=KEY)
        assert (status, "good" in text) == (200, True)
        assert len(bad.requests) == len(good.requests) == retries == 1

    asyncio.run(scenario())


def test_two_failing_replicas_are_tried_once_each() -> None:
    async def scenario() -> None:
        broken = killed_before_the_first_event
        async with (
            fake_inference(broken) as one,
            fake_inference(broken) as two,
            running_gateway(one, two) as gateway,
        ):
            status, _, text = await gateway.post("/api/chat", CHAT)
        assert status == 503
        assert "error" in json.loads(text)
        assert len(one.requests) == len(two.requests) == 1

    asyncio.run(scenario())


def test_a_busy_replica_is_not_retried() -> None:
    async def scenario() -> None:
        busy = refusing(ErrorCode.BUSY, 503)
        async with (
            fake_inference(busy) as one,
            fake_inference(busy) as two,
            running_gateway(one, two) as gateway,
        ):
            await gateway.post("/api/chat", CHAT)
            assert gateway.sample("upstream_retries_total", model=KEY) == 0
        assert len(one.requests) + len(two.requests) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("name", [MODEL, "qwen2.5", HUB_ID])
def test_a_model_without_a_ready_replica_is_loading(name: str) -> None:
    async def scenario() -> None:
        request = CHAT | {"model": name, "prompt": "hi"}
        rendered = request | {"_debug_render_only": True}
        load = {"model": name}
        requests = [("/api/chat", body) for body in (request, rendered, load)]
        requests += [("/api/generate", body) for body in (request, rendered, load)]
        requests += [("/v1/chat/completions", request), ("/v1/completions", request)]
        models = catalog("http://127.0.0.1:9")
        async with running_gateway(models=models, wait=False, queue_while_loading=False) as gateway:
            for path, body in requests:
                status, headers, text = await gateway.post(path, body)
                assert (status, "Retry-After" in headers) == (503, True)
                assert f"model '{name}' is loading, please try again" in text

    asyncio.run(scenario())


def test_a_refused_connection_marks_the_replica_not_ready_until_it_restarts() -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, probe_interval_seconds=0.2) as gateway,
        ):
            await fake.stop()
            pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
            await until(lambda: gateway.sample("requests_queued", model=KEY) == 1)
            assert gateway.sample("replicas_ready", model=KEY) == 0
            await fake.start()
            assert (await pending)[0] == 200
            assert gateway.sample("replicas_ready", model=KEY) == 1

    asyncio.run(scenario())


@BOTH
def test_a_stalled_stream_ends_with_a_timeout(path: str) -> None:
    async def scenario() -> None:
        async def silent(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            yield started()
            yield Text(text="one")
            yield Text(text="two")
            await asyncio.Event().wait()

        async with (
            fake_inference(silent) as fake,
            running_gateway(fake, between_events_seconds=0.1) as gateway,
        ):
            status, _, text = await gateway.post(path, CHAT)
            await until(lambda: fake.live == 0)
        assert status == 200
        assert_ends_in_error(path, text, chunks=2)
        assert path == "/api/chat" or '"code":"timeout"' in text

    asyncio.run(scenario())


def test_a_replica_that_never_responds_is_a_gateway_timeout() -> None:
    async def scenario() -> None:
        async def never(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            await asyncio.Event().wait()
            yield started()

        async with (
            fake_inference(never) as fake,
            running_gateway(fake, first_event_seconds=0.1) as gateway,
        ):
            status, _, text = await gateway.post("/v1/chat/completions", CHAT)
            await until(lambda: fake.live == 0)
        assert (status, json.loads(text)["error"]["code"]) == (504, "timeout")
        assert len(fake.requests) == 1

    asyncio.run(scenario())


@BOTH
def test_the_drain_deadline_ends_streams_with_an_error(path: str) -> None:
    async def scenario() -> None:
        async def slow(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            yield started()
            yield Text(text="one")
            yield Text(text="two")
            await asyncio.Event().wait()

        async with fake_inference(slow) as fake, running_gateway(fake) as gateway:
            pending = asyncio.create_task(gateway.post(path, CHAT))
            await until(
                lambda: (
                    gateway.sample("time_to_first_token_seconds_count", model=KEY) == 1
                    and gateway.sample("inter_token_latency_seconds_count", model=KEY) == 1
                )
            )
            gateway.drain.begin()
            assert (await gateway.get("/readyz"))[0] == 503
            gateway.drain.expire()
            status, _, text = await pending
            await until(lambda: fake.live == 0)
        assert status == 200
        assert_ends_in_error(path, text, chunks=2)
        assert "shutting down" in text

    asyncio.run(scenario())


def test_requests_above_the_concurrency_limit_are_rejected() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def waiting(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            yield started()
            await go.wait()
            yield finished(0)

        async with (
            fake_inference(waiting) as fake,
            running_gateway(fake, max_in_flight=2) as gateway,
        ):
            running = [asyncio.create_task(gateway.post("/api/chat", CHAT)) for _ in range(2)]
            await until(lambda: fake.live == 2)
            status, headers, text = await gateway.post("/api/chat", CHAT)
            assert (status, "busy" in text, "Retry-After" in headers) == (503, True, True)
            go.set()
            assert [status for status, _, _ in await asyncio.gather(*running)] == [200, 200]
            assert (await gateway.post("/api/chat", CHAT))[0] == 200
        assert len(fake.requests) == 3

    asyncio.run(scenario())
