"""The composition root: one model's process as an ASGI application."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware

from sizeup_inference.describe import describe
from sizeup_inference.engine.protocol import Deliver, EngineClient
from sizeup_inference.fake.model import start_fake
from sizeup_inference.metrics import InferenceMetrics
from sizeup_inference.requests.keep_alive import KeepAlive
from sizeup_inference.requests.mailbox import Mailboxes
from sizeup_inference.requests.served_model import ServedModel
from sizeup_inference.requests.worker_thread import WorkerThread
from sizeup_inference.server import routes
from sizeup_inference.server.error_responses import EXCEPTION_HANDLERS, host_refused
from sizeup_inference.server.health import Health, health_router
from sizeup_inference.server.state import ServerState
from sizeup_inference.settings import Settings
from sizeup_inference.startup.loaded_model import Progress, RunningModel, StartEngine, reported_id
from sizeup_telemetry import api_docs
from sizeup_telemetry.background import in_thread
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.hosts import HostMiddleware
from sizeup_telemetry.metrics import metrics_router
from sizeup_telemetry.places import Places
from sizeup_telemetry.request_id import RequestIdMiddleware
from sizeup_telemetry.serving import exempt_from_collection
from sizeup_telemetry.tracing.spans import Tracing
from sizeup_wire.errors import ErrorCode
from sizeup_wire.model import ModelInfo

log = logging.getLogger(__name__)

_WATCH_SECONDS = 1.0
"""Interval of checking whether the engine is dead or lost. A dead one has failed its requests,
unless its thread ended without delivering anything."""

_CLOSE_SECONDS = 5.0
"""At shutdown the engine's thread gets this long to end its current step."""


def start_model(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
    """Start the engine named by the settings. Blocks until it has generated a token, or raises."""
    if settings.engine == "fake":
        return start_fake(settings, deliver, progress)
    # Imported here because it needs torch, which is absent where only the fake engine runs.
    from sizeup_inference.startup.load_model import start_engine

    return start_engine(settings, deliver, progress)


@dataclass(frozen=True, slots=True)
class Composition:
    settings: Settings
    drain: Drain
    registry: CollectorRegistry
    on_fatal: Callable[[], None]
    """Ends the process: the model cannot be loaded, or its engine is dead or hangs."""
    load: StartEngine = start_model
    tracing: Tracing | None = None


def create_app(composition: Composition) -> FastAPI:
    """Create the application; its lifespan loads the model."""
    settings, drain = composition.settings, composition.drain
    metrics = InferenceMetrics(composition.registry, reported_id(settings))
    health = Health(
        drain, stalled_seconds=settings.stalled_seconds, lost_seconds=settings.lost_seconds
    )
    state = ServerState(settings, drain, metrics, health)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_run_model(composition, state))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))
            await _close(state)

    untraced = (
        health_router(lambda: health.readiness(time.monotonic())),
        routes.model_router(state),
        metrics_router(composition.registry, settings.metrics_port),
    )
    app = api_docs.create_app(
        routes.request_router(state),
        *untraced,
        title="sizeup inference",
        description="The internal API of one model's process.",
        version=version("sizeup-inference"),
        middleware=[
            Middleware(RequestIdMiddleware),
            *_traced(composition.tracing, untraced),
            Middleware(HostMiddleware, bound_to=settings.host, respond=host_refused),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    api_docs.serve_api_docs(app, enabled=settings.api_docs)
    return app


def _traced(tracing: Tracing | None, untraced: Iterable[APIRouter]) -> list[Middleware]:
    """Trace requests except those of these routers."""
    paths = {str(getattr(route, "path", "")) for router in untraced for route in router.routes}
    return [] if tracing is None else [tracing.middleware(paths)]


async def _run_model(composition: Composition, state: ServerState) -> None:
    """Describe and load the model, then watch its engine until it dies or hangs."""
    job = functools.partial(describe, composition.settings)
    state.described = await in_thread(job, "describing")
    try:
        state.model = await _load(composition, state)
    except Exception as error:  # any error that prevents loading
        log.error(  # noqa: TRY400  # one line for operators, the traceback at debug level
            "model.load_failed",
            extra={
                "model": composition.settings.model,
                "error": f"{type(error).__name__}: {error}",
            },
            exc_info=log.isEnabledFor(logging.DEBUG),
        )
        state.health.failure = str(error)
        composition.on_fatal()
        return
    extra = {"model": state.model.info.id}
    if await _is_lost_before_dead(state.model.engine, state.health):
        # Running requests cannot finish: fail them now and not at the drain deadline.
        log.error("engine.stalled", extra=extra)
        composition.drain.expire()
    else:
        log.error("engine.died", extra=extra)
        state.model.mailboxes.interrupt(ErrorCode.INTERNAL, "the engine stopped")
    composition.on_fatal()


async def _is_lost_before_dead(engine: EngineClient, health: Health) -> bool:
    """Watch the engine to its end: return True once it is lost, False once it is dead."""
    while engine.is_alive():
        if health.is_lost(time.monotonic()):
            return True
        await asyncio.sleep(_WATCH_SECONDS)
    return False


async def _load(composition: Composition, state: ServerState) -> ServedModel:
    loop, settings = asyncio.get_running_loop(), composition.settings
    started = time.monotonic()

    def progress(stage: str, done: float) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: no more probes
            loop.call_soon_threadsafe(state.health.set_progress, stage, done)

    mailboxes = Mailboxes(loop, on_step=state.metrics.on_step)
    job = functools.partial(composition.load, settings, mailboxes.deliver, progress)
    running = await in_thread(job, "loading")
    state.metrics.loaded(running.info, time.monotonic() - started)
    state.metrics.watch(running.engine.stats)
    state.health.engine = running.engine
    exempt_from_collection()
    log.info("model.ready", extra=_facts(running.info))
    capacity = state.capacity
    return ServedModel(
        engine=running.engine,
        info=running.info,
        tokenizer=running.tokenizer,
        embedding=running.embedding,
        mailboxes=mailboxes,
        # more prompts than the engine accepts need not be encoded
        tokenizer_thread=WorkerThread("tokenizer", capacity),
        grammars=running.grammars,
        grammar_thread=WorkerThread("grammar", capacity),
        drain=composition.drain,
        metrics=state.metrics,
        keep_alive=KeepAlive(settings.keep_alive_seconds, time.time()),
        places=Places(capacity),
    )


def _facts(info: ModelInfo) -> dict[str, Any]:
    """Return what loading has decided, for the log."""
    chosen = {
        name: getattr(info, name) for name in ("load_ns", "device", "device_bytes", "kernels")
    }
    paths = {path.name: path.reason or "enabled" for path in info.fast_paths}
    return {"model": info.id, **chosen, "fast_paths": paths}


async def _close(state: ServerState) -> None:
    if state.model is not None:
        state.model.tokenizer_thread.close()
        state.model.grammar_thread.close()
        await asyncio.to_thread(state.model.engine.close, _CLOSE_SECONDS)
