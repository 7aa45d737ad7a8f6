"""Addresses of the replicas, and a readiness probe for each of them."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp

from sizeup_gateway.model_state import DRAINING, state_after_refused_connection
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.models.replica_pool import Replica
from sizeup_gateway.replicas.health import Health
from sizeup_gateway.replicas.inference_client import InferenceClient, is_own_fault
from sizeup_gateway.replicas.link import Link

_log = logging.getLogger(__name__)

_FAILURE_THRESHOLD = 2
"""Timeouts in a row: a busy replica may miss one probe, a hung one misses all of them."""

_NOT_READY_RATE = 4
"""A replica that is not ready is probed this much more often: requests may be queued for it."""

_LOADING = "loading"
"""The state of a process that has its files and not yet its model."""

_SLICES = 10
"""Turns of the event loop that a probe has at least; a request takes about four of them."""

T = TypeVar("T")
Resolve = Callable[[str], Sequence[str]]
"""Service name -> base URLs of its replicas."""


@dataclass(slots=True, eq=False)
class _Probe:
    model: Model
    replica: Replica
    link: Link
    task: asyncio.Task[None] = field(init=False)
    timeouts: int = 0
    described: bool = False
    """Whether the process has described its model, since it began to load it."""
    done_once: bool = False


def _timed_out(probe: _Probe, begun: float) -> None:
    """Judge a probe that timed out; `begun` is when it was sent, by the clock of the event loop.

    A replica that sends events is busy rather than hung. Requests to one that hangs are ended: to
    their clients, its silence is that of a long prefill. The last ready replica of a model stays in
    the rotation: it is the only one that can serve a request once it recovers.
    """
    if probe.link.heard_at >= begun:
        probe.timeouts = 0
        return
    probe.timeouts += 1
    if probe.timeouts < _FAILURE_THRESHOLD:
        return
    replica, pool = probe.replica, probe.model.pool
    pool.set_ready(replica, ready=replica.ready and pool.ready_count == 1)
    replica.hung = replica.ready
    ended = probe.link.interrupt()
    fields = {"model": probe.model.key, "replica": replica.url, "requests_ended": ended}
    _log.warning("replica.unresponsive", extra=fields)


@dataclass(slots=True, eq=False)
class Discovery:
    """Keeps the readiness of every replica and the info of every model current."""

    models: Models
    client: InferenceClient
    interval_seconds: float
    resolve: Resolve | None = None
    """None: the replicas are those that the catalog lists."""
    has_synced: bool = False
    """True once every replica known at the start has been probed: before, a model with ready
    replicas would be reported as not ready."""
    _endpoints_synced: bool = False
    _probes: dict[Replica, _Probe] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def endpoints_changed(self) -> None:
        """Take over the current endpoints of the Services."""
        self._endpoints_synced = True
        self.refresh()

    def refresh(self) -> None:
        """Take over the catalog and the endpoints of the Services."""
        if self.resolve is not None:
            for model in self.models.by_key.values():
                if model.entry.service is not None:
                    model.pool.set_endpoints(self.resolve(model.entry.service))
        self._changed.set()

    async def run(self) -> None:
        """Probe every replica until cancelled, each in its own task: a hung one delays no other."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                wanted = {r: m for m in self.models.by_key.values() for r in m.pool.replicas}
                for replica in self._probes.keys() - wanted.keys():
                    self._probes.pop(replica).task.cancel()
                for replica in wanted.keys() - self._probes.keys():
                    link = self.client.link(replica.url)
                    probe = self._probes[replica] = _Probe(wanted[replica], replica, link)
                    probe.task = group.create_task(self._probe_forever(probe))
                self._update_synced()
                await self._changed.wait()

    def _update_synced(self) -> None:
        has_addresses = self._endpoints_synced or self.resolve is None
        all_probed = all(probe.done_once for probe in self._probes.values())
        self.has_synced = self.has_synced or (has_addresses and all_probed)

    async def _probe_forever(self, probe: _Probe) -> None:
        replica = probe.replica
        while True:
            was_ready = replica.ready
            await self._probe_once(probe)
            if replica.ready != was_ready:
                _log.info(
                    "replica.ready" if replica.ready else "replica.down",
                    extra={"model": probe.model.key, "replica": replica.url},
                )
            if not probe.done_once:
                probe.done_once = True
                self._update_synced()
            seconds = self.interval_seconds
            await asyncio.sleep(seconds if replica.ready else seconds / _NOT_READY_RATE)

    async def _probe_once(self, probe: _Probe) -> None:
        """Update one replica; it becomes not ready after an error, and as `_timed_out` says.

        An error of the gateway's own says nothing about the replica.
        """
        replica, pool = probe.replica, probe.model.pool
        begun = asyncio.get_running_loop().time()
        try:
            health = await within(self.client.probe, self._health(probe))
        except TimeoutError:
            _timed_out(probe, begun)
            return
        except aiohttp.ClientConnectorError as error:
            if is_own_fault(error):
                return
            health = Health(ready=False, state=state_after_refused_connection(replica.state))
        except (aiohttp.ClientError, OSError, ValueError):
            health = Health(ready=False)
        probe.timeouts, replica.hung = 0, False
        probe.described = probe.described and health.state == _LOADING
        if health.state == _LOADING and not probe.described:
            await self._read_description(probe)
        replica.progress, replica.stage = health.progress, health.stage
        pool.set_state(replica, health.state)
        pool.set_ready(replica, ready=health.ready)

    async def _health(self, probe: _Probe) -> Health:
        """Probe a replica; one of an earlier model is as one that is shutting down."""
        replica, model = probe.replica, probe.model
        health = await self.client.health(replica.url)
        if health.ready and not replica.ready:
            probe.link.is_older = False  # the process may be another one
            info = await self.client.model(replica.url)
            replica.model_id = info.id
            if model.is_served_by(replica):
                model.info = info
        if health.ready and not model.is_served_by(replica):
            return Health(ready=False, state=DRAINING)
        return health

    async def _read_description(self, probe: _Probe) -> None:
        """Read what a process that loads knows of its model by its files.

        A process of an earlier release describes a loaded model only. What is known of the same
        files as they were loaded stays.
        """
        model = probe.model
        try:
            info = await self.client.model(probe.replica.url)
        except (aiohttp.ClientError, OSError, ValueError):
            return
        probe.described = True
        is_other = model.info is None or model.info.digest != info.digest
        if is_other and not model.pool.ready_count:
            model.info = info


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`, or raise TimeoutError after that many seconds.

    The time passes in slices, and a slice that ends late counts with its own length: what the loop
    spends on other work is not counted against `work`.
    """
    task = asyncio.create_task(work)
    try:
        for _ in range(_SLICES):
            done, _ = await asyncio.wait({task}, timeout=seconds / _SLICES)
            if done:
                return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    raise TimeoutError
