"""Where replicas are, and which of them take requests: every one is probed."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp

from sizeup_gateway.model_state import refused_after
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.models.replica_pool import Replica
from sizeup_gateway.replicas.inference_client import Health, InferenceClient

_log = logging.getLogger(__name__)

_TIMEOUTS_IN_A_ROW = 2
"""A busy replica may miss one probe; a hung one misses them all."""

_EAGERNESS = 4
"""A replica that is not ready is probed so much more often: somebody may be waiting for it."""

Locate = Callable[[str], Sequence[str]]
"""Give the base URLs behind a Service."""


@dataclass(slots=True, eq=False)
class _Watch:
    model: Model
    replica: Replica
    timeouts: int = 0
    probed: bool = False


class Discovery:
    """Keep the readiness of every replica, and what each model says of itself."""

    def __init__(
        self,
        models: Models,
        client: InferenceClient,
        interval_seconds: float,
        locate: Locate | None = None,
    ) -> None:
        """Probe nothing yet; without `locate`, replicas are those of the catalogue alone."""
        self._models = models
        self._client = client
        self._interval_seconds = interval_seconds
        self._locate = locate
        self._watches: dict[Replica, _Watch] = {}
        self._changed = asyncio.Event()
        self._located = locate is None
        self.settled = False
        """True from when every replica known at the start has been probed once: before, a model
        that is ready elsewhere looks down from here."""

    def located(self) -> None:
        """Follow the Services: from now on it is known where their replicas are."""
        self._located = True
        self.refresh()

    def refresh(self) -> None:
        """Follow the catalogue, and what is known of the Services."""
        if self._locate is not None:
            for model in self._models.by_key.values():
                if model.entry.service is not None:
                    model.pool.set_endpoints(self._locate(model.entry.service))
        self._changed.set()

    async def run(self) -> None:
        """Probe every replica until cancelled, each at its own pace: one hung delays no other."""
        tasks: dict[Replica, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                wanted = {r: m for m in self._models.by_key.values() for r in m.pool.replicas}
                for replica in tasks.keys() - wanted.keys():
                    tasks.pop(replica).cancel()
                    del self._watches[replica]
                for replica in wanted.keys() - tasks.keys():
                    watch = _Watch(wanted[replica], replica)
                    self._watches[replica] = watch
                    tasks[replica] = group.create_task(self._follow(watch))
                self._settle()
                await self._changed.wait()

    def _settle(self) -> None:
        everywhere = all(watch.probed for watch in self._watches.values())
        self.settled = self.settled or (self._located and everywhere)

    async def _follow(self, watch: _Watch) -> None:
        replica = watch.replica
        while True:
            was_ready = replica.ready
            await self._probe(watch)
            if replica.ready != was_ready:
                _log.info(
                    "replica.ready" if replica.ready else "replica.down",
                    extra={"model": watch.model.key, "replica": replica.url},
                )
            if not watch.probed:
                watch.probed = True
                self._settle()
            seconds = self._interval_seconds
            await asyncio.sleep(seconds if replica.ready else seconds / _EAGERNESS)

    async def _probe(self, watch: _Watch) -> None:
        """Update one replica; only a refusal or repeated silence takes it out."""
        replica, pool = watch.replica, watch.model.pool
        try:
            health = await self._client.health(replica.url)
            if health.ready and not replica.ready:
                watch.model.info = await self._client.model(replica.url)
        except TimeoutError:
            watch.timeouts += 1
            if watch.timeouts >= _TIMEOUTS_IN_A_ROW:
                pool.set_ready(replica, ready=False)
            return
        except aiohttp.ClientConnectorError:
            health = Health(ready=False, state=refused_after(replica.state))
        except (aiohttp.ClientError, OSError, ValueError):
            health = Health(ready=False)
        watch.timeouts = 0
        replica.state, replica.progress = health.state, health.progress
        pool.set_ready(replica, ready=health.ready)
