"""Scale to zero: a model whose time is over goes. Every gateway looks; the first one does it."""

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
"""What a replica says of itself on its way, in this order."""
_NOWHERE = (-1, 0.0)
"""Before the first stage; the second number is the progress within one."""

_LOOK_SECONDS = 1.0
_SCALE_SECONDS = 5.0
"""Pause between two looks at the scale of a model that is not ready: only the API server knows
whether another gateway has started it."""


def is_due(replicas: Collection[Stats]) -> bool:
    """Tell whether a model may go: each replica is idle, and past its time by its own clock."""
    return bool(replicas) and all(
        stats.idle and stats.expires_at is not None and stats.expires_at <= stats.now
        for stats in replicas
    )


class Start:
    """A model on its way to being ready. Pure: the clock is an argument, in seconds."""

    def __init__(self, now: float) -> None:
        """Begin the clock."""
        self._since = now
        self._furthest = _NOWHERE

    def still_seconds(self, replicas: Iterable[Replica], now: float) -> float:
        """Return for how long no replica has come further than one had before.

        Only further counts: a process that fails and starts again says what was said before.
        """
        furthest = max((_stage(replica) for replica in replicas), default=_NOWHERE)
        if furthest > self._furthest:
            self._furthest, self._since = furthest, now
        return now - self._since


def _stage(replica: Replica) -> tuple[int, float]:
    """Say how far a replica has come, in a way that compares."""
    if replica.state not in _STAGES:
        return _NOWHERE
    return _STAGES.index(replica.state), replica.progress or 0.0


class Reaper:
    """Watch over the models that come and go with their use."""

    def __init__(
        self,
        models: Models,
        client: InferenceClient,
        scales: ScaleApi,
        activator: Activator,
        activation_seconds: float,
    ) -> None:
        """Look at nothing yet."""
        self._models = models
        self._client = client
        self._scales = scales
        self._activator = activator
        self._activation_seconds = activation_seconds
        self._starts: dict[Model, Start] = {}
        """Of models that have been scaled up and are not ready."""
        self._looked_at: dict[Model, float] = {}
        """When the scale was read, by the loop's clock; only of models that are down."""
        self._due: set[Model] = set()
        """Models that were due at the last look. They go at the next: what a gateway holds for a
        model that has just come needs a moment to get there, and only that gateway knows of it."""

    async def run(self) -> None:
        """Look at every model until cancelled."""
        while True:
            models = [m for m in self._models.by_key.values() if m.entry.scale_to_zero is not None]
            await asyncio.gather(*[self._look(m, m.entry.scale_to_zero) for m in models])
            self._forget_all_but(set(models))
            await asyncio.sleep(_LOOK_SECONDS)

    def _forget_all_but(self, models: set[Model]) -> None:
        self._due &= models
        self._starts = {m: start for m, start in self._starts.items() if m in models}
        self._looked_at = {m: at for m, at in self._looked_at.items() if m in models}

    async def _look(self, model: Model, scaling: ScaleToZero | None) -> None:
        if scaling is None:
            return
        ready = [replica for replica in model.pool.replicas if replica.ready]
        try:
            if ready:
                await self._look_at_ready(model, scaling, ready)
            else:
                await self._look_at_down(model, scaling)
        except ClusterError as error:
            _log.warning("model.scale_failed", extra={"model": model.key, "error": str(error)})

    async def _look_at_ready(
        self, model: Model, scaling: ScaleToZero, ready: Collection[Replica]
    ) -> None:
        self._starts.pop(model, None)
        self._looked_at.pop(model, None)
        stats = await asyncio.gather(*[self._stats(replica) for replica in ready])
        known = [s for s in stats if s is not None]
        if len(known) < len(ready) or not is_due(known):
            self._due.discard(model)
        elif model in self._due:
            await self._scale_down(model, scaling, "expired")
        else:
            self._due.add(model)

    async def _stats(self, replica: Replica) -> Stats | None:
        """Ask one replica; None when it does not say, which keeps it."""
        try:
            stats = await self._client.stats(replica.url)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _log.debug("replica.silent", extra={"replica": replica.url, "error": repr(error)})
            return None
        ends = stats.expires_at
        replica.expires_at = None if ends is None else time.time() + ends - stats.now
        return stats

    async def _look_at_down(self, model: Model, scaling: ScaleToZero) -> None:
        """Know the scale; take down what was started and comes no nearer to being ready."""
        self._due.discard(model)
        now = asyncio.get_running_loop().time()
        if now - self._looked_at.get(model, -math.inf) >= _SCALE_SECONDS:
            self._looked_at[model] = now
            model.desired = (await self._scales.read_scale(scaling.deployment)).replicas
        if not model.desired:
            self._starts.pop(model, None)
            return
        start = self._starts.setdefault(model, Start(now))
        if start.still_seconds(model.pool.replicas, now) > self._patience_seconds(scaling):
            await self._scale_down(model, scaling, "never ready")
            self._starts.pop(model, None)

    def _patience_seconds(self, scaling: ScaleToZero) -> float:
        """Return how long a model may come no nearer: another gateway may hold requests for it."""
        starting = max(scaling.startup_seconds, self._activation_seconds)
        return starting + max(scaling.keep_alive_seconds, 0.0)

    async def _scale_down(self, model: Model, scaling: ScaleToZero, reason: str) -> None:
        """Scale to zero unless there is work; somebody else's change goes before ours."""
        scale = await self._scales.read_scale(scaling.deployment)
        if model.pool.in_flight or self._activator.held(model):
            return
        if scale.replicas:
            try:
                await self._scales.write_scale(scaling.deployment, Scale(0, scale.version))
            except ConflictError:
                return
            _log.info("model.scaled_down", extra={"model": model.key, "reason": reason})
        model.desired = 0
