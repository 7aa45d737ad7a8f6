"""Where replicas are and which of them take requests: the catalogue's list, probed."""

import asyncio
import logging
from dataclasses import dataclass

import aiohttp

from sizeup_gateway.catalog import Model, Models
from sizeup_gateway.client import InferenceClient
from sizeup_gateway.pool import Replica

_log = logging.getLogger(__name__)

_TIMEOUTS_IN_A_ROW = 2
"""A busy replica may miss one probe; a hung one misses them all."""


@dataclass(slots=True, eq=False)
class _Watch:
    model: Model
    replica: Replica
    timeouts: int = 0


class Discovery:
    """Keep the readiness of every replica, and what each model says of itself."""

    def __init__(self, models: Models, client: InferenceClient, interval_seconds: float) -> None:
        """Probe nothing yet."""
        self._client = client
        self._interval_seconds = interval_seconds
        self._watches = [
            _Watch(model, replica)
            for model in models.by_key.values()
            for replica in model.pool.replicas
        ]

    async def run(self) -> None:
        """Probe every replica until cancelled, each at its own pace: one hung delays no other."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(self._follow(watch))

    async def _follow(self, watch: _Watch) -> None:
        while True:
            was_ready = watch.replica.ready
            await self._probe(watch)
            if watch.replica.ready != was_ready:
                _log.info(
                    "replica.ready" if watch.replica.ready else "replica.down",
                    extra={"model": watch.model.key, "replica": watch.replica.url},
                )
            await asyncio.sleep(self._interval_seconds)

    async def _probe(self, watch: _Watch) -> None:
        """Update one replica; only a refusal or repeated silence takes it out."""
        try:
            ready = await self._client.is_ready(watch.replica.url)
            if ready and not watch.replica.ready:
                watch.model.info = await self._client.model(watch.replica.url)
        except TimeoutError:
            watch.timeouts += 1
            watch.replica.ready &= watch.timeouts < _TIMEOUTS_IN_A_ROW
            return
        except (aiohttp.ClientError, OSError, ValueError):
            ready = False
        watch.timeouts = 0
        watch.replica.ready = ready
