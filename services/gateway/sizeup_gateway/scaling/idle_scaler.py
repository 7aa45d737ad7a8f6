"""Scale to zero: models whose keep-alive time has expired. Every gateway replica runs this."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence, Set

from sizeup_gateway.cluster.api import ConflictError, Scale, ScaleApi
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.models.replica_pool import Replica
from sizeup_gateway.scaling.activator import Activator
from sizeup_wire.catalog import ScaleToZero
from sizeup_wire.model import Stats

_log = logging.getLogger(__name__)

_STAGES = ("downloading", "loading")
"""States of a starting replica, in this order."""
_NOT_STARTED = (-1, 0.0)
"""Before the first stage; the second number is the progress within a stage."""


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

    def __init__(self, scales: ScaleApi, activator: Activator) -> None:
        self._scales = scales
        self._activator = activator
        self._starting: dict[Model, StartupProgress] = {}
        """Models that are scaled up and not ready."""
        self._expired: set[Model] = set()
        """Models that had expired at the previous check. They are scaled down at the next one:
        requests queued by another gateway need a moment to reach a model that became ready."""

    def keep_only(self, models: Set[Model]) -> None:
        self._expired &= models
        self._starting = {m: progress for m, progress in self._starting.items() if m in models}

    async def scale(
        self, model: Model, scaling: ScaleToZero, stats: Sequence[Stats | None]
    ) -> None:
        """Scale a model to zero if it is due, by the stats of its ready replicas.

        None, for a replica that does not report them, keeps the model. Raises ClusterError.
        """
        if not stats:
            await self._check_not_ready(model, scaling)
            return
        self._starting.pop(model, None)
        known = [one for one in stats if one is not None]
        if len(known) < len(stats) or not is_expired(known):
            self._expired.discard(model)
        elif model in self._expired:
            await self._scale_down(model, scaling, "expired")
        else:
            self._expired.add(model)

    async def _check_not_ready(self, model: Model, scaling: ScaleToZero) -> None:
        """Scale a model down if its startup has stalled."""
        self._expired.discard(model)
        now = asyncio.get_running_loop().time()
        if not model.desired_replicas:
            self._starting.pop(model, None)
            return
        progress = self._starting.setdefault(model, StartupProgress(now))
        # Time without progress; never below the deadline of requests queued in other gateways.
        startup = max(scaling.startup_seconds, self._activator.queue_seconds)
        limit = startup + max(scaling.keep_alive_seconds, 0.0)
        if progress.stalled_seconds(model.pool.replicas, now) > limit:
            await self._scale_down(model, scaling, "never ready")
            self._starting.pop(model, None)

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
