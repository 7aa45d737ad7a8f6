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

from sizeup_inference.engine.protocol import Deliver, EngineClient
from sizeup_inference.errors import EXCEPTION_HANDLERS
from sizeup_inference.fake.model import start_fake
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.requests.generation import ServedModel
from sizeup_inference.requests.keep_alive import Residence
from sizeup_inference.requests.mailbox import Mailboxes
from sizeup_inference.requests.tokenizer_thread import TokenizingThread
from sizeup_inference.server import routes
from sizeup_inference.server.health import Health, StallLimits
from sizeup_inference.server.state import Service
from sizeup_inference.settings import Settings
from sizeup_inference.startup.loaded_model import Progress, RunningModel, StartEngine, reported_id
from sizeup_telemetry.background import in_thread
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.request_id import RequestIdMiddleware

log = logging.getLogger(__name__)

_WATCH_SECONDS = 1.0
"""How soon an engine that died or hangs is noticed; a dead one has told its requests by then."""

_CLOSE_SECONDS = 5.0
"""At the end the engine's thread gets this long for the step it is in."""


def start_model(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
    """Start the engine named by the settings. Blocks until it has generated a token, or raises."""
    if settings.engine == "fake":
        return start_fake(settings, deliver, progress)
    # Imported here because it needs torch, which is absent where only the fake engine runs.
    from sizeup_inference.startup.load_model import start_engine

    return start_engine(settings, deliver, progress)


@dataclass(frozen=True, slots=True)
class Composition:
    """What a process is made of."""

    settings: Settings
    drain: Drain
    registry: CollectorRegistry
    on_fatal: Callable[[], None]
    """Ends the process: the model cannot be loaded, or its engine has died or hangs."""
    load: StartEngine = start_model


def create_app(composition: Composition) -> Starlette:
    """Make the application; its lifespan loads the model."""
    metrics = InferenceMetrics(composition.registry, reported_id(composition.settings))
    settings, drain = composition.settings, composition.drain
    health = Health(drain, StallLimits(settings.stalled_seconds, settings.lost_seconds))
    service = Service(settings, drain, metrics, health)

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
    """Load the model, then watch its engine until it dies or hangs."""
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
    extra = {"model": service.model.info.id}
    if await _outlived(service.model.engine, service.health):
        # Nothing of what runs can end any more: it is told so now, not at the drain's end.
        log.error("engine.stalled", extra=extra)
        composition.drain.expire()
    else:
        log.error("engine.died", extra=extra)
    composition.on_fatal()


async def _outlived(engine: EngineClient, health: Health) -> bool:
    """Watch the engine to its end: return False when it dies, True when it hangs for good."""
    while engine.is_alive():
        if health.is_lost(time.monotonic()):
            return True
        await asyncio.sleep(_WATCH_SECONDS)
    return False


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
