"""The composition root: every part of the gateway is made and joined here."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware

from sizeup_gateway.access import cors_middleware, host_middleware, key_middleware
from sizeup_gateway.answer import Admission
from sizeup_gateway.body import BodyReader
from sizeup_gateway.catalog import Models
from sizeup_gateway.client import InferenceClient, Timeouts
from sizeup_gateway.discovery import Discovery
from sizeup_gateway.dispatch import Dispatcher
from sizeup_gateway.health import health_routes
from sizeup_gateway.metrics import Metrics
from sizeup_gateway.observation import ObservationMiddleware
from sizeup_gateway.ollama.routes import OllamaRoutes
from sizeup_gateway.openai.routes import OpenAIRoutes
from sizeup_gateway.refusal import RefusalMiddleware, exception_handlers
from sizeup_gateway.service import Service
from sizeup_gateway.settings import Settings
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.metrics import metrics_route
from sizeup_telemetry.request_id import RequestIdMiddleware
from sizeup_wire.catalog import Catalog

_log = logging.getLogger(__name__)


def create_app(
    settings: Settings, catalog: Catalog, registry: CollectorRegistry, drain: Drain
) -> Starlette:
    """Make the gateway's application; raise ValueError or OSError on a bad configuration."""
    models, metrics = Models(catalog), Metrics.register(registry)
    client = InferenceClient(_timeouts(settings))
    service = Service(
        models,
        Dispatcher(client, metrics),
        Admission(settings.max_in_flight, settings.total_seconds, drain),
        BodyReader(settings.max_body_bytes, settings.body_seconds),
    )
    discovery = Discovery(models, client, settings.probe_interval_seconds)
    for key, model in models.by_key.items():
        metrics.follow_pool(key, model.pool)
    app = Starlette(
        routes=[
            *OllamaRoutes(service, settings.stream_default).routes(),
            *OpenAIRoutes(service).routes(),
            *health_routes(models, drain),
            metrics_route(registry),
        ],
        middleware=[
            Middleware(RequestIdMiddleware),
            Middleware(ObservationMiddleware, metrics=metrics),
            Middleware(RefusalMiddleware),
            *cors_middleware(),
            *host_middleware(settings.host),
            *key_middleware(settings.api_keys_file),
        ],
        exception_handlers=exception_handlers(),
        lifespan=lambda _app: _lifespan(client, discovery),
    )
    app.router.redirect_slashes = False
    return app


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect=settings.connect_seconds,
        first_event=settings.first_event_seconds,
        between_events=settings.between_events_seconds,
        probe=settings.probe_timeout_seconds,
    )


@contextlib.asynccontextmanager
async def _lifespan(client: InferenceClient, discovery: Discovery) -> AsyncIterator[None]:
    """Hold the connections and the probing while the application serves."""
    async with client:
        probing = asyncio.create_task(discovery.run())
        probing.add_done_callback(_report)
        try:
            yield
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)


def _report(probing: asyncio.Task[None]) -> None:
    """Say so at once if the probing ends by itself: nothing would notice replicas any more."""
    if not probing.cancelled() and probing.exception() is not None:
        _log.critical("discovery.ended", exc_info=probing.exception())
