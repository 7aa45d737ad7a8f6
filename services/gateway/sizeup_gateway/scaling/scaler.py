"""Once a second, scales each model by its keep-alive time and by its load."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence

import aiohttp

from sizeup_gateway.cluster.api import ClusterError, ScaleApi
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.models.replica_pool import Replica
from sizeup_gateway.replicas.inference_client import InferenceClient
from sizeup_gateway.scaling.activator import Activator
from sizeup_gateway.scaling.autoscaler import Autoscaler
from sizeup_gateway.scaling.idle_scaler import IdleScaler
from sizeup_wire.catalog import CatalogEntry
from sizeup_wire.model import Stats

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
_SCALE_SECONDS = 5.0
"""Interval at which a scale is read that another gateway may change: it activates a model that is
not ready, or scales one by its load. Also the pause after an error of the API server."""


class Scaler:
    """Reads stats and scales; the rules decide and write."""

    def __init__(
        self, models: Models, client: InferenceClient, scales: ScaleApi, activator: Activator
    ) -> None:
        self._models = models
        self._client = client
        self._scales = scales
        self._idle = IdleScaler(scales, activator)
        self._autoscaler = Autoscaler(scales, activator)
        self._read_at: dict[Model, float] = {}
        """When a scale was read, by the clock of the event loop."""
        self._retry_at: dict[Model, float] = {}
        """Until when a scale is left alone after an error."""

    async def run(self) -> None:
        """Check every model until cancelled."""
        while True:
            models = [m for m in self._models.by_key.values() if m.entry.scaled_deployment]
            await asyncio.gather(*[self._check(model) for model in models])
            self._keep_only(set(models))
            await asyncio.sleep(_INTERVAL_SECONDS)

    def _keep_only(self, models: set[Model]) -> None:
        self._idle.keep_only({m for m in models if m.entry.scale_to_zero is not None})
        self._autoscaler.keep_only({m for m in models if m.entry.autoscaling is not None})
        self._read_at = {m: at for m, at in self._read_at.items() if m in models}
        self._retry_at = {m: at for m, at in self._retry_at.items() if m in models}

    async def _check(self, model: Model) -> None:
        entry = model.entry
        ready = [replica for replica in model.pool.replicas if replica.ready]
        stats = await asyncio.gather(*[self._stats(replica) for replica in ready])
        now = asyncio.get_running_loop().time()
        if entry.autoscaling is not None:
            self._autoscaler.record(model, entry.autoscaling, stats, now)
        if now < self._retry_at.get(model, -math.inf):
            return
        try:
            await self._scale(model, entry, stats, now)
        except ClusterError as error:
            self._retry_at[model] = now + _SCALE_SECONDS
            _log.warning("model.scale_failed", extra={"model": model.key, "error": str(error)})

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

    async def _scale(
        self, model: Model, entry: CatalogEntry, stats: Sequence[Stats | None], now: float
    ) -> None:
        if entry.autoscaling is not None or not stats:
            await self._read_scale(model, entry, now)
        else:
            self._read_at.pop(model, None)
        if entry.scale_to_zero is not None:
            await self._idle.scale(model, entry.scale_to_zero, stats)
        if entry.autoscaling is not None:
            await self._autoscaler.scale(model, entry.autoscaling, now)

    async def _read_scale(self, model: Model, entry: CatalogEntry, now: float) -> None:
        """Read the scale, unless it has just been read."""
        deployment = entry.scaled_deployment
        if deployment is None or now - self._read_at.get(model, -math.inf) < _SCALE_SECONDS:
            return
        self._read_at[model] = now
        model.desired_replicas = (await self._scales.read_scale(deployment)).replicas
