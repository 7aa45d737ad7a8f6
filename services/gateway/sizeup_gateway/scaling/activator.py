"""Requests are queued while their model starts; one that is scaled to zero is scaled up."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sizeup_gateway import client_identity
from sizeup_gateway.cluster.api import ClusterError, ConflictError, Scale, ScaleApi
from sizeup_gateway.cluster.backoff import pause_seconds
from sizeup_gateway.errors import (
    ActivationQueueFullError,
    GatewayError,
    ModelNotFoundError,
    NotReadyError,
)
from sizeup_gateway.model_state import ModelState
from sizeup_gateway.models.catalog import Model
from sizeup_gateway.observability.metrics import Metrics
from sizeup_telemetry.places import FullError, Places

_log = logging.getLogger(__name__)

_CHECK_SECONDS = 2.0
"""Interval at which the scale is checked while requests are queued: another gateway, which
has no queued requests, may have scaled the model down again."""

_MAX_CONFLICTS = 5
"""Consecutive: two gateways cause one; more means that another client writes continuously."""


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """A request that may be queued: one deadline and one slot, however many prompts it has."""

    model: Model
    name: str
    """The model's name as the client wrote it, for errors."""
    deadline: float
    """By the clock of the event loop."""
    while_loading: bool
    """As in Activator."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Locked by the one prompt that waits for all of them."""
    error: GatewayError | None = None
    """Why waiting failed; the other prompts fail with the same error."""


@dataclass(slots=True, eq=False)
class _Queue:
    places: Places
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    emptied: asyncio.Event = field(default_factory=asyncio.Event)
    activation: asyncio.Task[None] | None = None


@dataclass(eq=False)
class Activator:
    """Queues requests until a replica is ready, and scales their model up."""

    scales: ScaleApi | None
    """None: no model scales to zero."""
    metrics: Metrics
    max_queued: int
    """Requests of each model."""
    queue_seconds: float
    while_loading: bool = True
    """Queue for a model that is loading although no request has activated it."""
    _queues: dict[Model, _Queue] = field(default_factory=dict, init=False)

    def scales_to_zero(self, model: Model) -> bool:
        """Whether a model is scaled to zero when idle."""
        return self.scales is not None and model.entry.scale_to_zero is not None

    def queue_length(self, model: Model) -> int:
        return self._queues[model].places.total if model in self._queues else 0

    def new_request(self, model: Model, name: str, *, while_loading: bool = True) -> QueuedRequest:
        """Start the deadline of a request that may be queued."""
        deadline = asyncio.get_running_loop().time() + self.queue_seconds
        return QueuedRequest(model, name, deadline, while_loading and self.while_loading)

    def awaits(self, request: QueuedRequest) -> bool:
        """Whether a request may wait for its model, which has no ready replica."""
        model = request.model
        if model.state is ModelState.FAILED:
            return False
        if request.while_loading and (model.pool.replicas or model.download is not None):
            return True
        if not self.scales_to_zero(model):
            return False  # without a replica, it is not known to be starting
        is_activation = model.state is ModelState.UNLOADED or self.queue_length(model) > 0
        return request.while_loading or is_activation

    async def wait(self, request: QueuedRequest) -> int:
        """Wait until a replica is ready; return the nanoseconds that took.

        Raises ActivationQueueFullError, and NotReadyError at the deadline, once the model has
        failed, or at once for a request that awaits nothing. Cancelling frees the slot in the
        queue.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with request.lock:
            if request.error is not None:
                raise request.error
            if not request.model.pool.ready_count:
                try:
                    await self._wait_in_queue(request)
                except GatewayError as error:
                    request.error = error
                    raise
        return round((loop.time() - started) * 1e9)

    def remove(self, model: Model) -> None:
        """Drop a model that was removed from the catalog; its queued requests fail."""
        queue = self._queues.pop(model, None)
        if queue is not None:
            queue.wake.set()

    async def _wait_in_queue(self, request: QueuedRequest) -> None:
        model = request.model
        if model.removed:
            raise ModelNotFoundError(request.name)
        if not self.awaits(request):
            raise NotReadyError(request.name, model.state)
        queue = self._queue(model)
        try:
            with self._slot(model, queue), contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(request.deadline):
                    while _is_starting(model):
                        queue.wake.clear()
                        await queue.wake.wait()
        except FullError:
            raise ActivationQueueFullError from None
        if model.removed:
            raise ModelNotFoundError(request.name)
        if not model.pool.ready_count:
            raise NotReadyError(request.name, model.state)

    def _queue(self, model: Model) -> _Queue:
        queue = self._queues.get(model)
        if queue is None:
            queue = self._queues[model] = _Queue(Places(self.max_queued))
            model.pool.on_change(queue.wake.set)
        return queue

    @contextmanager
    def _slot(self, model: Model, queue: _Queue) -> Iterator[None]:
        """Take a slot while the block runs, or raise FullError; the first activates the model."""
        try:
            with queue.places.held(client_identity.current.get()):
                queue.emptied.clear()
                self._start_activation(model, queue)
                with (
                    self.metrics.requests_queued.labels(model.key).track_inprogress(),
                    self.metrics.queue_duration.labels(model.key).time(),
                ):
                    yield
        finally:
            if not queue.places.total:
                queue.emptied.set()

    def _start_activation(self, model: Model, queue: _Queue) -> None:
        if queue.activation is None and self.scales is not None and self.scales_to_zero(model):
            queue.activation = asyncio.create_task(self._activate(model, queue, self.scales))
            queue.activation.add_done_callback(_log_failure)

    async def _activate(self, model: Model, queue: _Queue, scales: ScaleApi) -> None:
        """Keep a model scaled up as long as requests are queued for it.

        The first attempt runs to its end even if the client disconnects: the client wanted the
        model and finds it started on the next request.
        """
        failures, previous = 0, ""
        try:
            while True:
                try:
                    outcome = await _scale_up(model, scales)
                    failures, pause = 0, _CHECK_SECONDS
                except ClusterError as error:
                    outcome, failures = "failed", failures + 1
                    pause = pause_seconds(failures, random.random())
                    _log.warning(
                        "model.activation_failed", extra={"model": model.key, "error": str(error)}
                    )
                if outcome != previous or outcome != "present":
                    self.metrics.activations.labels(model.key, outcome).inc()
                    _log.info("model.activation", extra={"model": model.key, "outcome": outcome})
                previous = outcome
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await queue.emptied.wait()
                if not queue.places.total:
                    return
        finally:
            queue.activation = None


def _is_starting(model: Model) -> bool:
    return not (model.pool.ready_count or model.removed or model.state is ModelState.FAILED)


async def _scale_up(model: Model, scales: ScaleApi) -> str:
    """Start the model's replicas: "scaled", or "present" if there are any. Raises ClusterError."""
    scaling = model.entry.scale_to_zero
    if scaling is None:
        return "present"
    deployment = scaling.deployment
    for _ in range(_MAX_CONFLICTS):
        scale = await scales.read_scale(deployment)
        model.desired_replicas = scale.replicas
        if scale.replicas:
            return "present"
        try:
            await scales.write_scale(deployment, Scale(scaling.replicas, scale.version))
        except ConflictError:
            continue
        model.desired_replicas = scaling.replicas
        return "scaled"
    raise ConflictError(f"the scale of {deployment} keeps changing")


def _log_failure(activation: asyncio.Task[None]) -> None:
    """Log a crash of the task: queued requests would only see their deadline pass."""
    if not activation.cancelled() and activation.exception() is not None:
        _log.critical("model.activation_crashed", exc_info=activation.exception())
