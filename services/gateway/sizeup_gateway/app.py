"""The composition root: every part of the gateway is made and joined here."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware

from sizeup_gateway.access import cors_middleware, host_middleware, key_middleware
from sizeup_gateway.activator import Activator, HoldLimits
from sizeup_gateway.answer import Admission
from sizeup_gateway.body import BodyReader
from sizeup_gateway.catalog import Models, check_places
from sizeup_gateway.catalog_file import CatalogFile
from sizeup_gateway.client import InferenceClient, Timeouts
from sizeup_gateway.cluster import ScaleApi, SliceSource
from sizeup_gateway.discovery import Discovery
from sizeup_gateway.dispatch import Dispatcher
from sizeup_gateway.endpoints import Endpoints
from sizeup_gateway.health import health_routes
from sizeup_gateway.metrics import Metrics, ModelCollector
from sizeup_gateway.observation import ObservationMiddleware
from sizeup_gateway.ollama.routes import OllamaRoutes
from sizeup_gateway.openai.routes import OpenAIRoutes
from sizeup_gateway.reaper import Reaper
from sizeup_gateway.refusal import RefusalMiddleware, exception_handlers
from sizeup_gateway.residence import Residence
from sizeup_gateway.service import Service
from sizeup_gateway.settings import Settings
from sizeup_gateway.watch import EndpointWatch
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.metrics import metrics_route
from sizeup_telemetry.request_id import RequestIdMiddleware
from sizeup_wire.catalog import Catalog

_log = logging.getLogger(__name__)

Job = Callable[[], Coroutine[Any, Any, None]]


class Cluster(SliceSource, ScaleApi, Protocol):
    """Everything the gateway asks of Kubernetes."""


def create_app(
    settings: Settings,
    catalog: Catalog,
    registry: CollectorRegistry,
    drain: Drain,
    cluster: Cluster | None = None,
) -> Starlette:
    """Make the gateway's application; raise ValueError or OSError on a bad configuration.

    With a cluster, Services of the catalogue are looked up and scaled there.
    """
    check_places(catalog, services=cluster is not None)
    models, metrics = Models(catalog), Metrics.register(registry)
    registry.register(ModelCollector(models))
    client = InferenceClient(_timeouts(settings))
    limits = HoldLimits(settings.activation_queue, settings.activation_seconds)
    activator = Activator(cluster, limits, metrics)
    endpoints = Endpoints()
    locate = endpoints.urls if cluster is not None else None
    discovery = Discovery(models, client, settings.probe_interval_seconds, locate)

    def apply(changed: Catalog) -> None:
        check_places(changed, services=cluster is not None)
        for model in models.apply(changed):
            activator.forget(model)
        discovery.refresh()

    jobs: dict[str, Job] = {
        "discovery": discovery.run,
        "catalog": CatalogFile(
            settings.catalog, catalog, apply, metrics, settings.catalog_poll_seconds
        ).run,
    }
    if cluster is not None:
        jobs["watch"] = EndpointWatch(cluster, endpoints, discovery.refresh).run
        jobs["reaper"] = Reaper(models, client, cluster, activator, settings.activation_seconds).run
    service = Service(
        models,
        Dispatcher(client, activator, metrics),
        Residence(client, activator),
        Admission(settings.max_in_flight, settings.total_seconds, drain),
        BodyReader(settings.max_body_bytes, settings.body_seconds),
    )
    app = Starlette(
        routes=[
            *OllamaRoutes(service, settings.stream_default).routes(),
            *OpenAIRoutes(service).routes(),
            *health_routes(models, drain, lambda: discovery.settled),
            metrics_route(registry),
        ],
        middleware=_middleware(settings, metrics),
        exception_handlers=exception_handlers(),
        lifespan=lambda _app: _lifespan(client, jobs),
    )
    app.router.redirect_slashes = False
    return app


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
    return [
        Middleware(RequestIdMiddleware),
        Middleware(ObservationMiddleware, metrics=metrics),
        Middleware(RefusalMiddleware),
        *cors_middleware(),
        *host_middleware(settings.host),
        *key_middleware(settings.api_keys_file),
    ]


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect=settings.connect_seconds,
        first_event=settings.first_event_seconds,
        between_events=settings.between_events_seconds,
        probe=settings.probe_timeout_seconds,
    )


@contextlib.asynccontextmanager
async def _lifespan(client: InferenceClient, jobs: Mapping[str, Job]) -> AsyncIterator[None]:
    """Hold the connections and what goes on beside the requests while the application serves."""
    async with client:
        tasks = [asyncio.create_task(job(), name=name) for name, job in jobs.items()]
        for task in tasks:
            task.add_done_callback(_report)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    """Say so at once if one ends by itself: nothing would notice replicas any more, for one."""
    if not task.cancelled() and task.exception() is not None:
        _log.critical(f"{task.get_name()}.ended", exc_info=task.exception())
