"""One trace of a request through the processes, at a collector."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from gateway.harness import MODEL, catalog
from gateway.test_process import free_port
from sizeup_wire import routes
from telemetry.collector import Received, collector

SERVER, CLIENT = 2, 3
"""Kinds of spans on the wire."""
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}


@asynccontextmanager
async def process(
    module: str, settings: Mapping[str, object], log: Path, ready: str
) -> AsyncIterator[None]:
    """Run a service until the block ends; assert that SIGTERM ends it in time."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SIZEUP_", "OTEL_"))}
    environment = inherited | {name: str(value) for name, value in settings.items()}
    with log.open("wb") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, env=environment, stderr=stderr
        )
        try:
            async with aiohttp.ClientSession() as http, asyncio.timeout(60):
                while not await _is_ready(http, ready):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.02)
            yield
            child.terminate()
            async with asyncio.timeout(20):
                assert await child.wait() == 0
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


async def _is_ready(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as response:
            return response.status == 200 and b'"models":[]' not in await response.read()
    except aiohttp.ClientError:
        return False


async def chat_through_both(folder: Path, otel: Mapping[str, str]) -> None:
    """Serve a fake model, and stream one chat of a client that traces."""
    replica, port = free_port(), free_port()
    file = folder / "catalog.yaml"
    models = catalog(f"http://127.0.0.1:{replica}").model_dump(mode="json")
    file.write_text(yaml.safe_dump(models), encoding="utf-8")
    inference: dict[str, object] = {
        "SIZEUP_INFERENCE_MODEL": "fake",
        "SIZEUP_INFERENCE_ENGINE": "fake",
        "SIZEUP_INFERENCE_PORT": replica,
    }
    gateway: dict[str, object] = {"SIZEUP_GATEWAY_CATALOG": file, "SIZEUP_GATEWAY_PORT": port}
    at_replica = f"http://127.0.0.1:{replica}{routes.READYZ}"
    at_gateway = f"http://127.0.0.1:{port}/api/ps"
    async with (
        process("sizeup_inference", {**inference, **otel}, folder / "inference.log", at_replica),
        process("sizeup_gateway", {**gateway, **otel}, folder / "gateway.log", at_gateway),
        aiohttp.ClientSession() as http,
    ):
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "mine"}
        url = f"http://127.0.0.1:{port}/api/chat?api_key=secret"
        async with http.post(url, json=CHAT, headers=headers) as response:
            lines = [json.loads(line) async for line in response.content]
            assert lines[-1]["done"] is True


def finished(log: Path) -> list[dict[str, Any]]:
    """Return the log records of chats."""
    records = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    ended = [one for one in records if one["event"] == "request.finished"]
    return [one for one in ended if one.get("route") != "/api/ps"]


def test_a_request_is_one_trace_from_the_client_to_the_engine(tmp_path: Path) -> None:
    async def scenario() -> list[Received]:
        async with collector() as found:
            await chat_through_both(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": found.url})
            return found.spans

    spans = [span for span in asyncio.run(scenario()) if span.trace_id == TRACE]
    by_role = {(span.service, span.kind): span for span in spans}
    public = by_role["sizeup-gateway", SERVER]
    call = by_role["sizeup-gateway", CLIENT]
    served = by_role["sizeup-inference", SERVER]
    assert len(spans) == 3
    parents = [span.parent_id for span in (public, call, served)]
    assert parents == [PARENT, public.span_id, call.span_id]
    assert [public.name, served.name] == ["POST /api/chat", f"POST {routes.GENERATE}"]
    assert public.nanoseconds >= call.nanoseconds > 0

    assert public.attributes["gen_ai.operation.name"] == "chat"
    assert public.attributes["http.response.header.x-request-id"] == ["mine"]
    assert public.attributes["url.query"] == "REDACTED"
    for span in (public, served):
        assert span.attributes["http.response.status_code"] == 200
        assert span.attributes["gen_ai.usage.input_tokens"] > 0
        assert span.attributes["gen_ai.usage.output_tokens"] > 0
        assert "error.type" not in span.attributes
    assert served.attributes["gen_ai.response.finish_reasons"] in (["stop"], ["length"])
    assert served.attributes["gen_ai.latency.time_in_queue"] >= 0

    [at_gateway], [at_replica] = (finished(tmp_path / f"{n}.log") for n in ("gateway", "inference"))
    assert (at_gateway["trace_id"], at_gateway["span_id"]) == (TRACE, public.span_id)
    assert (at_replica["trace_id"], at_replica["request_id"]) == (TRACE, "mine")


def test_a_collector_that_is_down_delays_nothing(tmp_path: Path) -> None:
    """The processes end within the time that `process` grants."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never responds
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        asyncio.run(chat_through_both(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": url}))
    assert [one["outcome"] for one in finished(tmp_path / "gateway.log")] == ["ok"]


@pytest.mark.parametrize("variable", [{}, {"OTEL_SDK_DISABLED": "true"}])
def test_without_tracing_a_log_has_no_trace_ids(variable: dict[str, str], tmp_path: Path) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"} if variable else {}
    asyncio.run(chat_through_both(tmp_path, endpoint | variable))
    for log in ("gateway.log", "inference.log"):
        assert ["trace_id" in one for one in finished(tmp_path / log)] == [False]
