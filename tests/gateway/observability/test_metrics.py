"""Metrics and the request log."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from gateway.fake_inference import TOKENS, events, fake_inference, finished, refusing, started
from gateway.harness import (
    KEY,
    MODEL,
    Gateway,
    catalog,
    running_gateway,
    settings,
    until,
)
from sizeup_gateway.app import create_app
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.observability.route_labels import route_labels
from sizeup_telemetry.drain import Drain
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, FinishReason, PromptTokens, Text, Thinking, ToolCall
from sizeup_wire.generate import GenerateRequest

SECRET = "the quick brown fox"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": SECRET}], "stream": True}


def series(gateway: Gateway) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for metric in gateway.registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


def test_a_request_is_counted_by_model_route_and_outcome() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            await gateway.post("/api/chat", CHAT)
            fake.script = refusing(ErrorCode.BUSY, 503)
            await gateway.post("/v1/chat/completions", CHAT)
            await gateway.post("/v1/chat/completions", CHAT | {"temperature": 9})

            def count(route: str, outcome: str, model: str = KEY) -> float:
                labels = {"model": model, "route": route, "outcome": outcome}
                return gateway.sample("requests_total", **labels)

            assert count("/api/chat", "ok") == 1
            assert count("/v1/chat/completions", "busy") == 1
            assert count("/v1/chat/completions", "invalid_request", "unknown") == 1
            assert gateway.sample("prompt_tokens_total", model=KEY) == 7
            assert gateway.sample("completion_tokens_total", model=KEY) == len(TOKENS)
            assert gateway.sample("time_to_first_token_seconds_count", model=KEY) == 1
            assert gateway.sample("inter_token_latency_seconds_count", model=KEY) == len(TOKENS) - 1
            assert gateway.sample("request_duration_seconds_count", model=KEY) == 1
            assert gateway.sample("requests_in_flight", model=KEY) == 0
            async with gateway.http.get(gateway.url + "/metrics") as response:
                text = await response.text()
            assert f'sizeup_gateway_replicas_ready{{model="{KEY}"}} 1.0' in text

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/METRICS", "//metrics"])
def test_metrics_with_a_port_of_their_own_are_on_no_other(path: str) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake, metrics_port=9090) as gateway:
            for method in ("GET", "HEAD", "POST"):
                async with gateway.http.request(method, gateway.url + path) as response:
                    assert response.status == 404
                    if method != "HEAD":
                        assert isinstance((await response.json())["error"], str)
            status, document = await gateway.get("/openapi.json")
            assert (status, "/metrics" in document["paths"]) == (200, False)
            assert (await gateway.get("/livez"))[0] == 200

    asyncio.run(scenario())


def outcomes(gateway: Gateway) -> set[tuple[str, str]]:
    labels = [dict(ls) for name, ls in series(gateway) if name == "sizeup_gateway_requests_total"]
    return {(ls["route"], ls["outcome"]) for ls in labels}


def test_only_completed_generations_have_a_duration() -> None:
    counted = {
        ("/api/chat", "busy"),
        ("/api/chat", "upstream_lost"),
        ("/api/show", "ok"),
        ("/v1/models/{id}", "ok"),
        ("/api/chat", "ok"),
    }

    async def scenario() -> None:
        busy = refusing(ErrorCode.BUSY, 503)
        async with fake_inference(busy) as fake, running_gateway(fake) as gateway:
            await gateway.post("/api/chat", CHAT)
            fake.script = events(started(), Text(text="x"))
            await gateway.post("/api/chat", CHAT)
            await gateway.post("/api/show", {"model": MODEL})
            await gateway.get(f"/v1/models/{MODEL}")
            await gateway.post("/api/chat", {"model": MODEL})
            await until(lambda: counted <= outcomes(gateway))
            assert gateway.sample("request_duration_seconds_count", model=KEY) == 0
            assert gateway.sample("time_to_first_token_seconds_count", model=KEY) == 1

    asyncio.run(scenario())


def test_an_echoed_prompt_is_not_a_first_token() -> None:
    async def scenario() -> None:
        script = events(started(), PromptTokens(text="abc"), finished(0))
        body = {"model": MODEL, "prompt": "abc", "echo": True, "max_tokens": 0}
        async with fake_inference(script) as fake, running_gateway(fake) as gateway:
            status, _, _ = await gateway.post("/v1/completions", body)
            assert status == 200
            await until(lambda: gateway.sample("request_duration_seconds_count", model=KEY) == 1)
            assert gateway.sample("time_to_first_token_seconds_count", model=KEY) == 0

    asyncio.run(scenario())


def test_inter_token_latency_is_measured_per_choice() -> None:
    """Two choices, 1 + 3 tokens and 2 + 0 + a call + 1; the first event has no predecessor."""
    call = ToolCall(choice=1, index=0, id="c", name="f", arguments={})
    script = events(
        started(),
        Text(choice=0, text="a"),
        Thinking(choice=1, text="bc", tokens=2),
        Text(choice=0, text="😀", tokens=3),
        Text(choice=1, text="d", tokens=0),
        call,
        Text(choice=1, text="e"),
        finished(7, FinishReason.STOP, FinishReason.STOP),
    )

    async def scenario() -> None:
        async with fake_inference(script) as fake, running_gateway(fake) as gateway:
            await gateway.post("/v1/chat/completions", CHAT | {"n": 2})
            assert gateway.sample("time_to_first_token_seconds_count", model=KEY) == 1
            assert gateway.sample("inter_token_latency_seconds_count", model=KEY) == 3 + 1
            spent = gateway.sample("inter_token_latency_seconds_sum", model=KEY)
            await until(lambda: gateway.sample("request_duration_seconds_count", model=KEY) == 1)
            assert 0 < spent < gateway.sample("request_duration_seconds_sum", model=KEY) * 2

    asyncio.run(scenario())


def test_queue_duration_buckets_cover_an_hour() -> None:
    registry = CollectorRegistry()
    Metrics(registry).queue_duration.labels(KEY).observe(3000)

    def up_to(seconds: float) -> float | None:
        labels = {"model": KEY, "le": str(seconds)}
        return registry.get_sample_value("sizeup_gateway_queue_duration_seconds_bucket", labels)

    assert (up_to(600.0), up_to(2700.0), up_to(3600.0)) == (0, 0, 1)


def test_every_route_has_its_own_label() -> None:
    app = create_app(settings(), catalog(), CollectorRegistry(), Drain())
    paths = [route.path for route in app.routes if isinstance(route, Route)]
    label = route_labels(app.routes)
    assert [label(path.replace("{id:path}", "a/b")) for path in paths] == [
        path.replace(":path}", "}") for path in paths
    ]
    assert label("/v1/modelsx") == label("/nothing") == "other"


def test_a_running_request_is_in_flight() -> None:
    async def scenario() -> None:
        go = asyncio.Event()

        async def waiting(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            yield started()
            yield Text(text="x")
            await go.wait()
            yield finished(1)

        async with fake_inference(waiting) as fake, running_gateway(fake) as gateway:
            pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
            await until(lambda: fake.live == 1)
            assert gateway.sample("requests_in_flight", model=KEY) == 1
            go.set()
            await pending
            assert gateway.sample("requests_in_flight", model=KEY) == 0

    asyncio.run(scenario())


def test_unknown_names_and_paths_create_no_series() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:

            async def stray(i: int) -> None:
                await gateway.post("/api/chat", CHAT | {"model": f"junk-{i}"})
                await gateway.post("/v1/chat/completions", CHAT | {"model": f"junk/{i}"})
                await gateway.get(f"/v1/models/junk-{i}")
                await gateway.get(f"/junk/{i}")

            await stray(250)
            before = series(gateway)
            for start in range(0, 250, 50):
                await asyncio.gather(*[stray(i) for i in range(start, start + 50)])
            assert series(gateway) == before

    asyncio.run(scenario())


def test_a_request_is_one_log_line_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            await gateway.post("/api/chat", CHAT, **{"X-Request-Id": "abc-1"})
            await gateway.get("/health")
            assert fake.request_ids == ["abc-1"]

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    lines = [r for r in caplog.records if r.getMessage() == "request.finished"]
    assert len(lines) == 1
    fields = vars(lines[0])
    assert {k: fields[k] for k in ("model", "route", "outcome", "status")} == {
        "model": KEY,
        "route": "/api/chat",
        "outcome": "ok",
        "status": 200,
    }
    assert (fields["prompt_tokens"], fields["completion_tokens"]) == (7, len(TOKENS))
    assert fields["first_token_seconds"] <= fields["seconds"]
    assert SECRET not in "".join(str(vars(r)) for r in caplog.records)
    assert "世" not in "".join(str(vars(r)) for r in caplog.records)
