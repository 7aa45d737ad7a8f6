"""Spans of requests to the internal API."""

import asyncio

from opentelemetry.trace import StatusCode

from inference.serving import running, text_prompt, until
from sizeup_inference.fake.engine import FakeLimits
from sizeup_wire import routes
from telemetry.recorded_spans import RecordedSpans, attributes_of


def test_a_span_has_tokens_and_times() -> None:
    async def scenario() -> None:
        spans = RecordedSpans()
        async with running(tracing=spans.tracing) as process:
            await process.generate(prompt=text_prompt("abc"), max_tokens=3)
            await until(lambda: len(spans.server) == 1)
        [span] = spans.server
        attributes = attributes_of(span)
        expected = {
            "http.route": routes.GENERATE,
            "gen_ai.response.model": "fake",
            "gen_ai.response.finish_reasons": ("length",),
            "gen_ai.usage.input_tokens": 3,
            "gen_ai.usage.output_tokens": 3,
        }
        assert expected.items() <= attributes.items()
        for part in ("in_queue", "in_model_prefill", "in_model_decode"):
            assert isinstance(attributes[f"gen_ai.latency.time_{part}"], float)
        assert span.status.status_code is StatusCode.UNSET

    asyncio.run(scenario())


def test_embeddings_have_tokens() -> None:
    async def scenario() -> None:
        spans = RecordedSpans()
        async with running(tracing=spans.tracing) as process:
            await process.embed("ab", "c")
            await until(lambda: len(spans.server) == 1)
        attributes = attributes_of(spans.server[0])
        assert attributes["http.route"] == routes.EMBEDDINGS
        assert attributes["gen_ai.usage.input_tokens"] == 3

    asyncio.run(scenario())


def test_a_client_that_disconnects_is_marked() -> None:
    async def scenario() -> None:
        spans = RecordedSpans()
        slow = FakeLimits(token_seconds=0.05)
        async with running(slow, tracing=spans.tracing) as process:
            async with process.stream(prompt=text_prompt("x" * 1000)) as response:
                await response.content.readline()
                response.close()
            await until(lambda: len(spans.server) == 1)
        assert attributes_of(spans.server[0])["error.type"] == "cancelled"

    asyncio.run(scenario())


def test_probes_and_descriptions_are_not_traced() -> None:
    async def scenario() -> None:
        spans = RecordedSpans()
        async with running(tracing=spans.tracing) as process:
            for path in (routes.READYZ, routes.MODEL, routes.STATS):
                await process.get(path)
            await process.post(routes.TOKENIZE, {"prompt": text_prompt("abc")})
            await until(lambda: bool(spans.server))
        assert [span.name for span in spans.server] == [f"POST {routes.TOKENIZE}"]

    asyncio.run(scenario())
