"""Scales models by their load, between the limits of the catalog. Every gateway runs this.

Nothing is shared between the gateways but the scale itself. They see the same load of the replicas,
at other times and since other times, and each its own queue. So that none undoes what another has
done, a rise of the scale by another is a requirement like one of the load: it lasts for the
stabilization time.
"""

import logging
from collections.abc import Sequence, Set

from sizeup_gateway.cluster.api import ConflictError, Scale, ScaleApi
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.scaling.activator import Activator
from sizeup_gateway.scaling.load_history import LoadHistory
from sizeup_wire.catalog import Autoscaling
from sizeup_wire.model import Stats

_log = logging.getLogger(__name__)


class Autoscaler:
    """Times are seconds by one clock."""

    def __init__(self, scales: ScaleApi, activator: Activator) -> None:
        self._scales = scales
        self._activator = activator
        self._histories: dict[Model, LoadHistory] = {}
        self._seen: dict[Model, int] = {}
        """The scale of each model as this gateway last read or wrote it."""

    def keep_only(self, models: Set[Model]) -> None:
        self._histories = {m: history for m, history in self._histories.items() if m in models}
        self._seen = {m: replicas for m, replicas in self._seen.items() if m in models}

    def record(
        self, model: Model, autoscaling: Autoscaling, stats: Sequence[Stats | None], now: float
    ) -> None:
        """Note the load of the ready replicas, None for one that does not report it.

        A load that is not known as a whole holds the replicas: that of one which does not report
        it, and without a ready one the queues of other gateways.
        """
        known = [one for one in stats if one is not None]
        load = sum(one.running + one.waiting for one in known) + self._activator.queue_length(model)
        is_whole = bool(known) and len(known) == len(stats)
        held = 0 if is_whole else self._seen.get(model, 0)
        history = self._histories.setdefault(model, LoadHistory(now))
        history.record(now, load, held, autoscaling)
        model.recommended_replicas = history.recommended

    async def scale(self, model: Model, autoscaling: Autoscaling, now: float) -> None:
        """Write the scale if it is to change; a concurrent change wins. Raises ClusterError."""
        known = model.desired_replicas
        if known is None or self._desired(model, autoscaling, known, now) == known:
            return
        scale = await self._scales.read_scale(autoscaling.deployment)
        current = model.desired_replicas = scale.replicas
        desired = self._desired(model, autoscaling, current, now)
        if desired == current:
            return
        try:
            await self._scales.write_scale(autoscaling.deployment, Scale(desired, scale.version))
        except ConflictError:
            return
        model.desired_replicas = self._seen[model] = desired
        fields = {"model": model.key, "replicas": desired, "previous": current}
        reason = _reason(current, desired, autoscaling)
        requests = round(self._histories[model].mean, 1)
        _log.info("model.scaled", extra={**fields, "reason": reason, "requests": requests})

    def _desired(self, model: Model, autoscaling: Autoscaling, current: int, now: float) -> int:
        """Return the scale to write, and note the present one."""
        history = self._histories[model]
        if current > self._seen.get(model, current):
            history.require(now, current)
        self._seen[model] = current
        if not current and model.entry.scale_to_zero is not None:
            return 0  # its next request activates it
        return history.desired(now, current, autoscaling)


def _reason(current: int, desired: int, autoscaling: Autoscaling) -> str:
    if current < autoscaling.min_replicas:
        return "fewer than min_replicas"
    return "requests above target" if desired > current else "requests below target"
