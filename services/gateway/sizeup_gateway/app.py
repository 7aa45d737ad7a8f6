"""The composition root: every part of the gateway is made and joined here."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware

from sizeup_gateway.api.health import health_routes
from sizeup_gateway.api.ollama.routes import OllamaRoutes
from sizeup_gateway.api.openai.routes import OpenAIRoutes
from sizeup_gateway.api.request_body import BodyLimits, BodyReader
from sizeup_gateway.api.service import Service
from sizeup_gateway.api.unsupported_routes import unserved_routes
from sizeup_gateway.cluster.api import ScaleApi, SliceSource
from sizeup_gateway.cluster.endpoint_watch import EndpointWatch
from sizeup_gateway.cluster.endpoints import Endpoints
from sizeup_gateway.middleware.access import (
    cors_middleware,
    host_middleware,
    key_middleware,
    origin_middleware,
)
from sizeup_gateway.middleware.error_responses import RefusalMiddleware, exception_handlers
from sizeup_gateway.models.catalog import Models, check_places
from sizeup_gateway.models.catalog_file import CatalogFile
from sizeup_gateway.observability.metrics import Metrics, ModelCollector
from sizeup_gateway.observability.request_metrics import ObservationMiddleware
from sizeup_gateway.replicas.discovery import Discovery
from sizeup_gateway.replicas.inference_client import InferenceClient, Timeouts
from sizeup_gateway.responses.answer import Admission
from sizeup_gateway.responses.memory_limit import Gathering
from sizeup_gateway.routing.dispatcher import Dispatcher
from sizeup_gateway.scaling.activator import Activator, HoldLimits
from sizeup_gateway.scaling.idle_scaler import Reaper
from sizeup_gateway.scaling.keep_alive import Residence
from sizeup_gateway.settings import Settings
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
    parts = _parts(settings, catalog, registry, cluster)
    service = Service(
        parts.models,
        Dispatcher(parts.client, parts.activator, parts.metrics),
        Residence(parts.client, parts.activator),
        Admission(
            settings.max_in_flight,
            settings.total_seconds + (settings.activation_seconds if cluster is not None else 0.0),
            drain,
            Gathering(settings.max_reply_bytes, settings.max_replies_bytes),
        ),
        BodyReader(_body_limits(settings), drain),
    )
    jobs = _jobs(settings, catalog, parts, cluster)
    app = Starlette(
        routes=[
            *OllamaRoutes(service, settings.stream_default).routes(),
            *OpenAIRoutes(service).routes(),
            *unserved_routes(),
            *health_routes(parts.models, drain, lambda: parts.discovery.settled),
            metrics_route(registry),
        ],
        middleware=_middleware(settings, parts.metrics),
        exception_handlers=exception_handlers(),
        lifespan=lambda _app: _lifespan(parts.client, jobs),
    )
    app.router.redirect_slashes = False
    return app


@dataclass(frozen=True, slots=True)
class _Parts:
    """What requests and the work beside them share."""

    models: Models
    metrics: Metrics
    client: InferenceClient
    activator: Activator
    endpoints: Endpoints
    discovery: Discovery


def _parts(
    settings: Settings, catalog: Catalog, registry: CollectorRegistry, cluster: Cluster | None
) -> _Parts:
    models, metrics = Models(catalog), Metrics.register(registry)
    registry.register(ModelCollector(models))
    client = InferenceClient(_timeouts(settings))
    limits = HoldLimits(settings.activation_queue, settings.activation_seconds)
    endpoints = Endpoints()
    locate = None if cluster is None else endpoints.urls
    discovery = Discovery(models, client, settings.probe_interval_seconds, locate)
    activator = Activator(cluster, limits, metrics)
    return _Parts(models, metrics, client, activator, endpoints, discovery)


def _jobs(
    settings: Settings, catalog: Catalog, parts: _Parts, cluster: Cluster | None
) -> Mapping[str, Job]:
    """List what goes on beside the requests, by name."""

    def apply(changed: Catalog) -> None:
        check_places(changed, services=cluster is not None)
        for model in parts.models.apply(changed):
            parts.activator.forget(model)
        parts.discovery.refresh()

    file = CatalogFile(
        settings.catalog, catalog, apply, parts.metrics, settings.catalog_poll_seconds
    )
    jobs: dict[str, Job] = {"discovery": parts.discovery.run, "catalog": file.run}
    if cluster is not None:
        jobs["watch"] = EndpointWatch(cluster, parts.endpoints, parts.discovery.located).run
        seconds = settings.activation_seconds
        jobs["reaper"] = Reaper(parts.models, parts.client, cluster, parts.activator, seconds).run
    return jobs


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
    return [
        Middleware(RequestIdMiddleware),
        Middleware(ObservationMiddleware, metrics=metrics),
        Middleware(RefusalMiddleware),
        *cors_middleware(),
        Middleware(RefusalMiddleware),  # inside: pages of this machine may read why
        *host_middleware(settings.host),
        *origin_middleware(),
        *key_middleware(settings.api_keys_file),
    ]


def _body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(settings.max_body_bytes, settings.max_bodies_bytes, settings.body_seconds)


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
