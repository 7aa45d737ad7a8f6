"""Scale from zero: requests are held while their model starts."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sizeup_gateway.cluster.api import ClusterError, ConflictError, Scale, ScaleApi
from sizeup_gateway.cluster.backoff import pause_seconds
from sizeup_gateway.errors import GatewayError, HoldFullError, ModelNotFoundError, NotReadyError
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.observability.metrics import Metrics

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
"""Pause between two looks at the scale while requests are held: somebody else may have taken the
model down again, having seen none of them."""

_CONFLICTS_IN_A_ROW = 5
"""Two gateways need one retry; more is somebody who writes all the time."""


@dataclass(frozen=True, slots=True)
class HoldLimits:
    """Bounds of what is held for one model."""

    requests: int
    seconds: float


@dataclass(slots=True, eq=False)
class Hold:
    """What one request may wait: one deadline and one place, however many prompts it has."""

    model: Model
    name: str
    """The model's, as the person wrote it: for errors."""
    deadline: float
    """By the loop's clock."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Taken by the prompt that waits, for all of them."""
    refusal: GatewayError | None = None
    """Why the waiting was in vain; the other prompts need not try."""


@dataclass(slots=True, eq=False)
class _Line:
    """The requests held for one model."""

    held: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the last of them goes."""
    activation: asyncio.Task[None] | None = None


class Activator:
    """Hold requests until a replica is ready, and see to it that one becomes ready."""

    def __init__(self, scales: ScaleApi | None, limits: HoldLimits, metrics: Metrics) -> None:
        """Hold nothing yet; without a scale API, nothing ever."""
        self._scales = scales
        self._limits = limits
        self._metrics = metrics
        self._lines: dict[Model, _Line] = {}

    def scales(self, model: Model) -> bool:
        """Tell whether a model comes and goes with its use."""
        return self._scales is not None and model.entry.scale_to_zero is not None

    def held(self, model: Model) -> int:
        """Count the requests held for a model."""
        return self._lines[model].held if model in self._lines else 0

    def hold(self, model: Model, name: str) -> Hold:
        """Start the clock of a request that may have to wait."""
        return Hold(model, name, asyncio.get_running_loop().time() + self._limits.seconds)

    async def wait(self, hold: Hold) -> int:
        """Return when a replica is ready, with the nanoseconds that took.

        Raises HoldFullError, and NotReadyError at the deadline or at once for a model that is not
        scaled. Leaving early (a person who hangs up) frees the place.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with hold.turn:
            if hold.refusal is not None:
                raise hold.refusal
            if not hold.model.pool.ready_count:
                await self._wait(hold)
        return round((loop.time() - started) * 1e9)

    def forget(self, model: Model) -> None:
        """Let go of a model that is gone, and of what is held for it."""
        line = self._lines.pop(model, None)
        if line is not None:
            line.wake.set()

    async def _wait(self, hold: Hold) -> None:
        try:
            await self._wait_in_line(hold)
        except GatewayError as error:
            hold.refusal = error
            raise

    async def _wait_in_line(self, hold: Hold) -> None:
        model = hold.model
        if self._scales is None or not self.scales(model):
            raise NotReadyError(hold.name, model.state)
        if model.removed:
            raise ModelNotFoundError(hold.name)
        line = self._line(model)
        if line.held >= self._limits.requests:
            raise HoldFullError
        with self._place(model, line, self._scales):
            try:
                async with asyncio.timeout_at(hold.deadline):
                    while not model.pool.ready_count and not model.removed:
                        line.wake.clear()
                        await line.wake.wait()
            except TimeoutError:
                raise NotReadyError(hold.name, model.state) from None
        if model.removed:
            raise ModelNotFoundError(hold.name)

    def _line(self, model: Model) -> _Line:
        line = self._lines.get(model)
        if line is None:
            line = self._lines[model] = _Line()
            model.pool.on_ready(line.wake.set)
        return line

    @contextmanager
    def _place(self, model: Model, line: _Line, scales: ScaleApi) -> Iterator[None]:
        """Count a held request while the block runs; the first starts the model, once for all."""
        loop = asyncio.get_running_loop()
        started, gauge = loop.time(), self._metrics.held.labels(model.key)
        line.held += 1
        line.left.clear()
        gauge.inc()
        if line.activation is None:
            line.activation = asyncio.create_task(self._activate(model, line, scales))
            line.activation.add_done_callback(_report)
        try:
            yield
        finally:
            line.held -= 1
            gauge.dec()
            self._metrics.hold_seconds.labels(model.key).observe(loop.time() - started)
            if not line.held:
                line.left.set()

    async def _activate(self, model: Model, line: _Line, scales: ScaleApi) -> None:
        """Keep a model scaled up for as long as anything is held for it.

        A try that has begun is ended, whoever leaves: a person who hangs up at once has still
        asked for the model, and will find it started on coming back.
        """
        failures, before = 0, ""
        try:
            while True:
                try:
                    outcome = await _scale_up(model, scales)
                    failures, pause = 0, _LOOK_SECONDS
                except ClusterError as error:
                    outcome, failures = "failed", failures + 1
                    pause = pause_seconds(failures, random.random())
                    _log.warning(
                        "model.activation_failed", extra={"model": model.key, "error": str(error)}
                    )
                if outcome != before or outcome != "present":
                    self._metrics.activations.labels(model.key, outcome).inc()
                    _log.info("model.activation", extra={"model": model.key, "outcome": outcome})
                before = outcome
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await line.left.wait()
                if not line.held:
                    return
        finally:
            line.activation = None


async def _scale_up(model: Model, scales: ScaleApi) -> str:
    """Make sure that a model has replicas: "scaled" by us, or "present". Raise ClusterError."""
    if model.entry.scale_to_zero is None:
        return "present"
    deployment = model.entry.scale_to_zero.deployment
    for _ in range(_CONFLICTS_IN_A_ROW):
        scale = await scales.read_scale(deployment)
        model.desired = scale.replicas
        if scale.replicas:
            return "present"
        try:
            await scales.write_scale(deployment, Scale(1, scale.version))
        except ConflictError:
            continue
        model.desired = 1
        return "scaled"
    raise ConflictError(f"the scale of {deployment} is never at rest")


def _report(activation: asyncio.Task[None]) -> None:
    """Say so if an activation ends by itself: those held would only see their deadline."""
    if not activation.cancelled() and activation.exception() is not None:
        _log.critical("model.activation_ended", exc_info=activation.exception())
