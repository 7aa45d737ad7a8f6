"""Resumes the rollouts that are paused until their weights are downloaded. Every gateway replica
runs this."""

import asyncio
import logging
import random

from sizeup_gateway.cluster.api import ClusterError, ConflictError, NotFoundError, Rollout
from sizeup_gateway.cluster.backoff import pause_seconds
from sizeup_gateway.cluster.client import ClusterClient
from sizeup_gateway.models.catalog import Model, Models, PendingDownload
from sizeup_wire.catalog import Download

_log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_AWAITING_SECONDS = 3.0
"""Interval at which the Jobs of a paused rollout are read."""
_OTHER_SECONDS = 15.0
"""Interval at which a rollout that awaits nothing is read: an upgrade of the release may pause it.
Until this is seen, the model has the state of its replicas, which serve on."""
_CREATION_SECONDS = 60.0
"""Time for an upgrade to create the Jobs, which it does after the Deployments: one that is missing
for longer was deleted."""


class RolloutResumer:
    """Keeps the downloads that rollouts await current, and resumes the rollouts."""

    def __init__(self, models: Models, cluster: ClusterClient) -> None:
        self._models = models
        self._cluster = cluster
        self._due: dict[Model, float] = {}
        """When to look at a model again, by the clock of the event loop."""
        self._failures: dict[Model, int] = {}
        self._missing_since: dict[Model, float] = {}
        """Since when a Job of a model does not exist."""

    async def run(self) -> None:
        """Look at every model whose rollout may be paused, until cancelled."""
        while True:
            gated = {
                model: model.entry.download
                for model in self._models.by_key.values()
                if model.entry.download is not None
            }
            now = asyncio.get_running_loop().time()
            due = [m for m in gated if self._due.get(m, now) <= now]
            await asyncio.gather(*[self._look(model, gated[model]) for model in due])
            self._due = {m: at for m, at in self._due.items() if m in gated}
            self._failures = {m: n for m, n in self._failures.items() if m in gated}
            self._missing_since = {m: at for m, at in self._missing_since.items() if m in gated}
            await asyncio.sleep(_TICK_SECONDS)

    async def _look(self, model: Model, download: Download) -> None:
        try:
            pause = await self._check(model, download.deployment)
            self._failures.pop(model, None)
        except ClusterError as error:
            failures = self._failures[model] = self._failures.get(model, 0) + 1
            pause = pause_seconds(failures, random.random())
            extra = {"model": model.key, "error": str(error), "retry_in": round(pause, 3)}
            _log.warning("model.rollout_unknown", extra=extra)
        self._due[model] = asyncio.get_running_loop().time() + pause

    async def _check(self, model: Model, deployment: str) -> float:
        """Resume a rollout whose Jobs are complete; return the seconds until the next look."""
        rollout = await self._cluster.read_rollout(deployment)
        pending = await self._pending(model, rollout)
        if pending is None and rollout.awaited_jobs:
            try:
                await self._cluster.resume_rollout(deployment, rollout.version)
            except ConflictError:
                return 0.0
            _log.info("model.rollout_resumed", extra={"model": model.key})
        if model.entry.download is not None:  # a reload of the catalog may have ended the wait
            _set_download(model, pending)
        return _OTHER_SECONDS if pending is None else _AWAITING_SECONDS

    async def _pending(self, model: Model, rollout: Rollout) -> PendingDownload | None:
        """Return the first download that is not complete, None if all are."""
        for name in rollout.awaited_jobs:
            try:
                end = await self._cluster.read_job(name)
            except NotFoundError:
                return PendingDownload(self._missing(model, name), rollout.has_earlier)
            if end is None or not end.complete:
                self._missing_since.pop(model, None)
                failure = None if end is None else f"the download Job {name} failed: {end.reason}"
                return PendingDownload(failure, rollout.has_earlier)
        self._missing_since.pop(model, None)
        return None

    def _missing(self, model: Model, job: str) -> str | None:
        """Return the failure if a Job does not exist, None while it may still be created."""
        now = asyncio.get_running_loop().time()
        if now - self._missing_since.setdefault(model, now) < _CREATION_SECONDS:
            return None
        return f"the download Job {job} does not exist; helm upgrade creates it"


def _set_download(model: Model, pending: PendingDownload | None) -> None:
    """Set and log a change of the download that a rollout awaits."""
    if pending != model.download:
        failure = None if pending is None else pending.failure
        level = logging.INFO if failure is None else logging.WARNING
        extra = {"model": model.key, "awaited": pending is not None, "failure": failure}
        _log.log(level, "model.download", extra=extra)
    model.set_download(pending)
