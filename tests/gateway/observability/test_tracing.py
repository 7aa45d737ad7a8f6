"""Spans of requests and of their calls to replicas."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from opentelemetry.trace import StatusCode

from gateway.api.compare.compare_client import compare
from gateway.fake_inference import (
    TOKENS,
    FakeInference,
    KillConnection,
    fake_inference,
    refusing,
    responding_with,
    started,
)
from gateway.harness import KEY, MODEL, Gateway, running_gateway, until
from gateway.sizes import running_sizes
from sizeup_wire import routes
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, Failed, Text
from sizeup_wire.generate import GenerateRequest
from telemetry.recorded_spans import RecordedSpans, attributes_of

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
Scenario = Callable[[Gateway, FakeInference, RecordedSpans], Awaitable[None]]


def traced(scenario: Scenario, *excluded_urls: str, host: str = "127.0.0.1") -> None:
    async def run() -> None:
        spans = RecordedSpans(excluded_urls)
        async with (
            fake_inference() as fake,
            running_gateway(fake, tracing=spans.tracing, host=host) as gateway,
        ):
            await scenario(gateway, fake, spans)

    asyncio.run(run())


def test_a_request_has_a_span_and_its_call_is_a_child() -> None:
    async def scenario(gateway: Gateway, fake: FakeInference, spans: RecordedSpans) -> None:
        await gateway.post("/api/chat", CHAT)
        await until(lambda: len(spans.server) == 1)
        [public], [call] = spans.server, spans.client
        assert call.parent == public.get_span_context()
        assert attributes_of(call)["url.full"] == fake.url + routes.GENERATE
        expected = {
            "http.route": "/api/chat",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": KEY,
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": len(TOKENS),
        }
        assert expected.items() <= attributes_of(public).items()
        assert public.status.status_code is call.status.status_code is StatusCode.UNSET

    traced(scenario)


def test_a_failure_within_a_stream_marks_both_spans() -> None:
    async def failing(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="one")
        yield Failed(code=ErrorCode.INTERNAL, message="broken")

    async def scenario(gateway: Gateway, fake: FakeInference, spans: RecordedSpans) -> None:
        fake.script = failing
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        await until(lambda: len(spans.server) == 1)
        for span in (*spans.server, *spans.client):
            assert span.status.status_code is StatusCode.ERROR
            assert attributes_of(span)["error.type"] == "internal"

    traced(scenario)


def test_spans_end_when_the_client_disconnects() -> None:
    async def endless(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="one")
        await asyncio.Event().wait()

    async def scenario(gateway: Gateway, fake: FakeInference, spans: RecordedSpans) -> None:
        fake.script = endless
        async with gateway.http.post(gateway.url + "/api/chat", json=CHAT) as response:
            await response.content.readline()
            response.close()
        await until(lambda: len(spans.server) == 1)
        ended = [attributes_of(span)["error.type"] for span in (*spans.server, *spans.client)]
        assert ended == ["cancelled", "cancelled"]

    traced(scenario)


def test_a_retry_is_a_second_call() -> None:
    async def lost(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        raise KillConnection
        yield

    async def run() -> None:
        spans = RecordedSpans()
        async with (
            fake_inference(lost) as broken,
            fake_inference(lost) as other,
            running_gateway(broken, other, tracing=spans.tracing) as gateway,
        ):
            assert (await gateway.post("/api/chat", CHAT | {"stream": False}))[0] >= 500
            await until(lambda: len(spans.server) == 1)
            assert {attributes_of(span)["server.port"] for span in spans.client} == {
                broken.port,
                other.port,
            }
            for span in (*spans.server, *spans.client):
                assert span.status.status_code is StatusCode.ERROR

    asyncio.run(run())


@pytest.mark.parametrize(("status", "is_error"), [(400, False), (503, True)])
def test_errors_of_the_client_are_none_of_the_server(status: int, is_error: bool) -> None:
    code = ErrorCode.BUSY if is_error else ErrorCode.INVALID_REQUEST

    async def scenario(gateway: Gateway, fake: FakeInference, spans: RecordedSpans) -> None:
        fake.script = refusing(code, status)
        assert (await gateway.post("/api/chat", CHAT))[0] == status
        await until(lambda: len(spans.server) == 1)
        [public], [call] = spans.server, spans.client
        assert (public.status.status_code is StatusCode.ERROR) is is_error
        assert attributes_of(call)["error.type"] == code

    traced(scenario)


def test_a_comparison_is_one_span_with_a_call_for_each_size() -> None:
    async def run() -> None:
        spans = RecordedSpans()
        scripts = {billions: responding_with("one") for billions in (0.5, 1.5, 3)}
        async with running_sizes(scripts, tracing=spans.tracing) as sizes:
            await compare(sizes.gateway, {"models": sizes.names, "messages": CHAT["messages"]})
            await until(lambda: len(spans.server) == 1)
            [public] = spans.server
            assert len(spans.client) == len(scripts)
            assert all(span.parent == public.get_span_context() for span in spans.client)

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/", "/livez", "//readyz/", "/health", "/metrics", "/api/tags"])
def test_probes_pages_and_excluded_urls_are_not_traced(path: str) -> None:
    async def scenario(gateway: Gateway, fake: FakeInference, spans: RecordedSpans) -> None:
        async with gateway.http.get(gateway.url + path) as response:
            await response.read()
        await gateway.get("/api/version")
        await until(lambda: bool(spans.server))
        assert [span.name for span in spans.server] == ["GET /api/version"]

    traced(scenario, "/api/tags$")


@pytest.mark.parametrize("host", ["[::1", "name:port", "a b"])
def test_a_host_header_that_is_no_address_is_served_without_a_span(host: str) -> None:
    async def scenario(gateway: Gateway, fake: FakeInference, spans: RecordedSpans) -> None:
        async with gateway.http.get(
            gateway.url + "/api/version", headers={"Host": host}
        ) as response:
            assert response.status == 200
            assert json.loads(await response.read())["version"]

    traced(scenario, host="0.0.0.0")
