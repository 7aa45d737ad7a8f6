"""Metrics of the mock server, sampled while it is under a load of known queue and batch."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import perf_counter_ns

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from loadtest.mock import Behaviour, MockServer
from loadtest.truth.against_mock import MODEL, LoadCase, NullObserver, segment
from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.schema import Config, Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.results import ServerMetrics
from sizeup_loadtest.execution.sending.load_generator import (
    SendContext,
    Share,
    keep_all,
    run_segment,
)
from sizeup_loadtest.execution.servers import server_metrics
from sizeup_loadtest.execution.servers.server_metrics import (
    ServerMetricsSampler,
    sources,
)
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt

TWO_SLOTS = replace(MODEL, parallel=2)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def sampled(behaviour: Behaviour) -> ServerMetrics | None:
    """Sample a closed loop of 5 users."""
    load = LoadCase(5, 10)
    prompts = {f"p{i}": Prompt(f"p{i}", (ChatMessage("user", "x"),)) for i in range(load.requests)}
    async with MockServer(behaviour) as server:
        sampler = ServerMetricsSampler({"m": Server(f"{server.url}/metrics", "m")}, interval=0.01)
        async with Client({"m": Server(server.url, "m")}, Sampling(), perf_counter_ns) as client:
            context = SendContext(client.send, NullObserver(), perf_counter_ns)
            share = Share(segment(load, "m"), prompts, perf_counter_ns(), 2**62, keep_all)
            async with sampler.during("m", "s"):
                await run_segment(share, context)
    return sampler.stages().get("m", {}).get("s")


def test_queue_batch_and_cache_are_those_of_the_server() -> None:
    found = asyncio.run(sampled(Behaviour((TWO_SLOTS,), metrics=True)))
    assert found is not None
    assert found.queue is not None
    assert found.running is not None
    assert found.kv_usage is not None
    assert (found.queue.max, found.running.max, found.kv_usage.max) == (3, 2, 1.0)
    assert 0 < found.queue.mean <= 3
    assert set(found.sources) == {"queue", "running", "kv_usage"}


def test_a_server_without_metrics_has_none() -> None:
    assert asyncio.run(sampled(Behaviour((TWO_SLOTS,)))) is None


def test_the_metrics_are_at_the_servers_url_or_where_the_config_says() -> None:
    """The key of a server goes to no other host."""
    models = ["a", {"name": "b", "model": "qwen", "metrics_url": "http://b:8000/metrics"}]
    target = {"url": "http://host:1/v1", "headers": {"X-Key": "secret"}}
    found = sources(Config.model_validate({"models": models, "target": target}))
    assert {
        name: (one.url, one.model, one.headers.get("X-Key")) for name, one in found.items()
    } == {
        "a": ("http://host:1/metrics", "a", "secret"),
        "b": ("http://b:8000/metrics", "qwen", None),
    }


async def hangs(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def disconnects(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def is_large(request: web.Request) -> web.StreamResponse:
    return web.Response(text="tgi_queue_size 1\n" * 1000)


async def is_a_login_page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>")


@pytest.mark.parametrize("handler", [hangs, disconnects, is_large, is_a_login_page])
def test_a_server_that_has_no_metrics_is_not_asked_again(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_metrics, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(server_metrics, "MAX_BYTES", 1000)
    asked = []

    async def counted(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await handler(request)

    async def poll() -> None:
        app = web.Application()
        app.router.add_get("/metrics", counted)
        async with TestServer(app) as server:
            sampler = ServerMetricsSampler(
                {"m": Server(str(server.make_url("/metrics")), "m")}, interval=0
            )
            await sampler.poll("m", "s")  # returns, as it has given up
            before = len(asked)
            await sampler.poll("m", "t")
        assert before >= server_metrics.MAX_FAILURES
        assert len(asked) == before
        assert sampler.stages() == {}

    asyncio.run(poll())


def test_a_server_is_asked_on_after_a_failure_between(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = iter([b"", b"tgi_queue_size 4\n", b"", b"", b"tgi_queue_size 2\n", b"", b"", b""])

    async def body(session: aiohttp.ClientSession, url: str) -> bytes:
        return next(bodies)

    monkeypatch.setattr(server_metrics, "_body", body)
    sampler = ServerMetricsSampler({"m": Server("http://host:1/metrics", "m")}, interval=0)
    asyncio.run(sampler.poll("m", "s"))
    queue = sampler.stages()["m"]["s"].queue
    assert queue is not None
    assert (queue.mean, queue.max) == (3, 4)
