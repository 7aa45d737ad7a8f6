"""Scale to zero: models whose keep-alive time has expired. Every gateway replica runs this."""

import asyncio
import logging
import math
import time
from collections.abc import Collection, Iterable

import aiohttp

from sizeup_gateway.cluster.api import ClusterError, ConflictError, Scale, ScaleApi
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.models.replica_pool import Replica
from sizeup_gateway.replicas.inference_client import InferenceClient
from sizeup_gateway.scaling.activator import Activator
from sizeup_wire.catalog import ScaleToZero
from sizeup_wire.model import Stats

_log = logging.getLogger(__name__)

_STAGES = ("downloading", "loading")
"""States of a starting replica, in this order."""
_NOT_STARTED = (-1, 0.0)
"""Before the first stage; the second number is the progress within a stage."""

_INTERVAL_SECONDS = 1.0
_SCALE_SECONDS = 5.0
"""Interval at which the scale of a model that is not ready is read: another gateway may have
activated it."""


def is_expired(replicas: Collection[Stats]) -> bool:
    """Whether every replica is idle and past its expiry by its own clock; False for none."""
    return bool(replicas) and all(
        stats.idle and stats.expires_at is not None and stats.expires_at <= stats.now
        for stats in replicas
    )


class StartupProgress:
    """Progress of a model that is starting. Pure: the clock is an argument, in seconds."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._furthest = _NOT_STARTED

    def stalled_seconds(self, replicas: Iterable[Replica], now: float) -> float:
        """Return the time since any replica last exceeded the furthest progress.

        A process that crashes and restarts repeats earlier progress, which does not count.
        """
        furthest = max((_stage(replica) for replica in replicas), default=_NOT_STARTED)
        if furthest > self._furthest:
            self._furthest, self._since = furthest, now
        return now - self._since


def _stage(replica: Replica) -> tuple[int, float]:
    """Return the stage and the progress within it, which compare as a tuple."""
    if replica.state not in _STAGES:
        return _NOT_STARTED
    return _STAGES.index(replica.state), replica.progress or 0.0


class IdleScaler:
    """Scales expired models, and models that fail to start, to zero."""

    def __init__(
        self,
        models: Models,
        client: InferenceClient,
        scales: ScaleApi,
        activator: Activator,
        activation_seconds: float,
    ) -> None:
        self._models = models
        self._client = client
        self._scales = scales
        self._activator = activator
        self._activation_seconds = activation_seconds
        self._starting: dict[Model, StartupProgress] = {}
        """Models that are scaled up and not ready."""
        self._scale_read_at: dict[Model, float] = {}
        """By the clock of the event loop; only of models that are not ready."""
        self._expired: set[Model] = set()
        """Models that had expired at the previous check. They are scaled down at the next one:
        requests queued by another gateway need a moment to reach a model that became ready."""

    async def run(self) -> None:
        """Check every model until cancelled."""
        while True:
            models = [m for m in self._models.by_key.values() if m.entry.scale_to_zero is not None]
            await asyncio.gather(*[self._check(m, m.entry.scale_to_zero) for m in models])
            self._keep_only(set(models))
            await asyncio.sleep(_INTERVAL_SECONDS)

    def _keep_only(self, models: set[Model]) -> None:
        self._expired &= models
        self._starting = {m: progress for m, progress in self._starting.items() if m in models}
        self._scale_read_at = {m: at for m, at in self._scale_read_at.items() if m in models}

    async def _check(self, model: Model, scaling: ScaleToZero | None) -> None:
        if scaling is None:
            return
        ready = [replica for replica in model.pool.replicas if replica.ready]
        try:
            if ready:
                await self._check_ready(model, scaling, ready)
            else:
                await self._check_not_ready(model, scaling)
        except ClusterError as error:
            _log.warning("model.scale_failed", extra={"model": model.key, "error": str(error)})

    async def _check_ready(
        self, model: Model, scaling: ScaleToZero, ready: Collection[Replica]
    ) -> None:
        self._starting.pop(model, None)
        self._scale_read_at.pop(model, None)
        stats = await asyncio.gather(*[self._stats(replica) for replica in ready])
        known = [s for s in stats if s is not None]
        if len(known) < len(ready) or not is_expired(known):
            self._expired.discard(model)
        elif model in self._expired:
            await self._scale_down(model, scaling, "expired")
        else:
            self._expired.add(model)

    async def _stats(self, replica: Replica) -> Stats | None:
        """Read the stats of one replica; None on an error, which keeps the replica."""
        try:
            stats = await self._client.stats(replica.url)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _log.debug("replica.stats_failed", extra={"replica": replica.url, "error": repr(error)})
            return None
        expires_at = stats.expires_at
        replica.expires_at = None if expires_at is None else time.time() + expires_at - stats.now
        return stats

    async def _check_not_ready(self, model: Model, scaling: ScaleToZero) -> None:
        """Read the scale; scale a model down if its startup has stalled."""
        self._expired.discard(model)
        now = asyncio.get_running_loop().time()
        if now - self._scale_read_at.get(model, -math.inf) >= _SCALE_SECONDS:
            self._scale_read_at[model] = now
            model.desired_replicas = (await self._scales.read_scale(scaling.deployment)).replicas
        if not model.desired_replicas:
            self._starting.pop(model, None)
            return
        progress = self._starting.setdefault(model, StartupProgress(now))
        if progress.stalled_seconds(model.pool.replicas, now) > self._startup_timeout_seconds(
            scaling
        ):
            await self._scale_down(model, scaling, "never ready")
            self._starting.pop(model, None)

    def _startup_timeout_seconds(self, scaling: ScaleToZero) -> float:
        """Time without progress; never below the deadline of requests queued in other gateways."""
        startup = max(scaling.startup_seconds, self._activation_seconds)
        return startup + max(scaling.keep_alive_seconds, 0.0)

    async def _scale_down(self, model: Model, scaling: ScaleToZero, reason: str) -> None:
        """Scale to zero unless there are requests; a concurrent change of the scale wins."""
        scale = await self._scales.read_scale(scaling.deployment)
        if model.pool.in_flight or self._activator.queue_length(model):
            return
        if scale.replicas:
            try:
                await self._scales.write_scale(scaling.deployment, Scale(0, scale.version))
            except ConflictError:
                return
            _log.info("model.scaled_down", extra={"model": model.key, "reason": reason})
        model.desired_replicas = 0
