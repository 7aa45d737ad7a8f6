"""Samples the server's /metrics while a stage runs.

One request at a time, each after the last: a slow server gets fewer of them. A sample costs the
client 4 ms of its event loop for 500 kB of metrics (benchmarks/loadtest_metrics.py).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import aiohttp

from sizeup_loadtest.analysis.stages import prometheus
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.results import ServerMetrics

INTERVAL_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
MAX_BYTES = 8 << 20
MAX_FAILURES = 3
"""In a row, after which a server is not asked again."""


def sources(config: Config) -> Mapping[str, Server]:
    """Return where the metrics of every model are, by model; `url` is that of the metrics."""
    servers = config.servers
    return {
        model.name: replace(servers[model.name], url=f"{servers[model.name].url}/metrics")
        if model.metrics_url is None
        # Maybe of another host, to which the key is not sent.
        else Server(model.metrics_url, servers[model.name].model)
        for model in config.models
    }


@dataclass(slots=True)
class ServerMetricsSampler:
    """The samples of a run, by model and stage."""

    sources: Mapping[str, Server]
    """By model."""
    interval: float = INTERVAL_SECONDS
    _samples: dict[tuple[str, str], list[prometheus.Kinds]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @asynccontextmanager
    async def during(self, model: str, stage: str) -> AsyncIterator[None]:
        """Attribute the samples of the block to a stage of a model."""
        task = asyncio.create_task(self.poll(model, stage))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def stages(self) -> Mapping[str, Mapping[str, ServerMetrics]]:
        """Summarise every stage that has samples, by model."""
        result: dict[str, dict[str, ServerMetrics]] = defaultdict(dict)
        for (model, stage), samples in self._samples.items():
            if summary := prometheus.summary(samples):
                result[model][stage] = summary
        return result

    async def poll(self, model: str, stage: str) -> None:
        """Sample until cancelled, or until the server turns out to have no metrics."""
        source = self.sources.get(model)
        if source is None or self._failures[source.url] >= MAX_FAILURES:
            return
        await asyncio.sleep(self.interval)
        # A session of its own: the measured requests never wait for its connection.
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while self._failures[source.url] < MAX_FAILURES:
                if found := prometheus.read(await _body(session, source), source.model):
                    self._failures[source.url] = 0
                    self._samples[model, stage].append(found)
                else:
                    self._failures[source.url] += 1
                await asyncio.sleep(self.interval)


async def _body(session: aiohttp.ClientSession, source: Server) -> bytes:
    """Return the metrics; empty where there are none, or not in time."""
    try:
        async with session.get(
            source.url, headers=source.request_headers, ssl=source.ssl, allow_redirects=False
        ) as response:
            if response.status != 200:
                return b""
            data = b""
            while chunk := await response.content.readany():
                data += chunk
                if len(data) > MAX_BYTES:
                    return b""
            return data
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return b""
