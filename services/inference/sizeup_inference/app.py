"""The composition root: one model's process as an ASGI application."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware

from sizeup_inference import loading, routes
from sizeup_inference.errors import EXCEPTION_HANDLERS
from sizeup_inference.generation import ServedModel
from sizeup_inference.health import Health
from sizeup_inference.mailbox import Mailboxes
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.residence import Residence
from sizeup_inference.running import StartEngine, reported_id
from sizeup_inference.service import Service
from sizeup_inference.settings import Settings
from sizeup_inference.tokenizing import TokenizingThread
from sizeup_telemetry.background import in_thread
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.request_id import RequestIdMiddleware

log = logging.getLogger(__name__)

_WATCH_SECONDS = 1.0
"""How soon a dead engine is noticed; its requests have been told by then."""

_CLOSE_SECONDS = 5.0
"""At the end the engine's thread gets this long for the step it is in."""


@dataclass(frozen=True, slots=True)
class Composition:
    """What a process is made of."""

    settings: Settings
    drain: Drain
    registry: CollectorRegistry
    on_fatal: Callable[[], None]
    """Ends the process: the model cannot be loaded, or its engine has died."""
    load: StartEngine = loading.load


def create_app(composition: Composition) -> Starlette:
    """Make the application; its lifespan loads the model."""
    metrics = InferenceMetrics(composition.registry, reported_id(composition.settings))
    service = Service(composition.settings, composition.drain, metrics, Health(composition.drain))

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        life = asyncio.create_task(_live(composition, service))
        try:
            yield
        finally:
            life.cancel()
            await asyncio.wait((life,))
            await _close(service)

    return Starlette(
        routes=routes.routes(service, composition.registry),
        middleware=[Middleware(RequestIdMiddleware)],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )


async def _live(composition: Composition, service: Service) -> None:
    """Load the model, then watch its engine until it dies."""
    try:
        service.model = await _load(composition, service)
    except Exception as error:  # whatever keeps the model from loading
        log.error(  # noqa: TRY400  # one clear line; the traceback is for debugging
            "model.load_failed",
            extra={
                "model": composition.settings.model,
                "error": f"{type(error).__name__}: {error}",
            },
            exc_info=log.isEnabledFor(logging.DEBUG),
        )
        service.health.set_failed(str(error))
        composition.on_fatal()
        return
    while service.model.engine.is_alive():  # noqa: ASYNC110  # it dies in another thread
        await asyncio.sleep(_WATCH_SECONDS)
    log.error("engine.died", extra={"model": service.model.info.id})
    composition.on_fatal()


async def _load(composition: Composition, service: Service) -> ServedModel:
    loop, settings = asyncio.get_running_loop(), composition.settings
    begun = time.monotonic()

    def progress(stage: str, done: float) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(service.health.set_progress, stage, done)

    mailboxes = Mailboxes(loop, on_step=service.metrics.on_step)
    job = functools.partial(composition.load, settings, mailboxes.deliver, progress)
    running = await in_thread(job, "loading")
    service.metrics.load_seconds.set(time.monotonic() - begun)
    service.metrics.watch(running.engine.stats)
    service.health.set_running(running.engine)
    log.info("model.ready", extra={"model": running.info.id, "load_ns": running.info.load_ns})
    return ServedModel(
        engine=running.engine,
        info=running.info,
        tokenizer=running.tokenizer,
        mailboxes=mailboxes,
        # beyond what the engine can take in, encoding a prompt would be in vain
        tokenizing=TokenizingThread(settings.max_waiting + settings.max_num_seqs),
        drain=composition.drain,
        metrics=service.metrics,
        residence=Residence(settings.keep_alive_seconds, time.time()),
    )


async def _close(service: Service) -> None:
    if service.model is not None:
        service.model.tokenizing.close()
        await asyncio.to_thread(service.model.engine.close, _CLOSE_SECONDS)
