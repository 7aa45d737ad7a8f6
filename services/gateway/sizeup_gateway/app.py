"""The composition root: creates and connects all parts of the gateway."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware

from sizeup_gateway.api import health
from sizeup_gateway.api.anthropic.routes import AnthropicRoutes
from sizeup_gateway.api.compare.routes import CompareRoutes
from sizeup_gateway.api.dependencies import COMPUTING_PATHS, Dependencies
from sizeup_gateway.api.documentation import API_KEY_SCHEMES
from sizeup_gateway.api.ollama.manage.routes import ManageRoutes
from sizeup_gateway.api.ollama.routes import OllamaRoutes
from sizeup_gateway.api.openai.responses_api.routes import ResponsesRoutes
from sizeup_gateway.api.openai.routes import OpenAIRoutes
from sizeup_gateway.api.request_body import BodyLimits, BodyReader
from sizeup_gateway.api.unsupported_routes import unsupported_router
from sizeup_gateway.cluster.api import ScaleApi
from sizeup_gateway.cluster.client import ClusterClient
from sizeup_gateway.cluster.endpoint_watch import EndpointWatch
from sizeup_gateway.cluster.endpoints import Endpoints
from sizeup_gateway.comparison.comparisons import Comparisons
from sizeup_gateway.comparison.fan_out import AnswerLimits
from sizeup_gateway.created_models.registry import CreatedModels
from sizeup_gateway.created_models.store import ConfigMapStore, FileStore, Store
from sizeup_gateway.middleware.api_keys import ApiKeys, keys_file
from sizeup_gateway.middleware.error_responses import allowed_methods, exception_handlers
from sizeup_gateway.middleware.paths import without_extra_slashes
from sizeup_gateway.middleware.refusals import refuser
from sizeup_gateway.middleware.stack import default_limits, middleware_stack
from sizeup_gateway.models.catalog import Models, check_placement
from sizeup_gateway.models.catalog_file import catalog_file
from sizeup_gateway.models.model_metrics import ModelCollector
from sizeup_gateway.models.report import LoadTestReport
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.observability.request_metrics import RequestMetricsMiddleware
from sizeup_gateway.observability.route_labels import route_labels
from sizeup_gateway.page.routes import page_router
from sizeup_gateway.replicas.discovery import Discovery
from sizeup_gateway.replicas.inference_client import InferenceClient
from sizeup_gateway.responses.event_response import Admission
from sizeup_gateway.responses.memory_limit import ResponseMemoryLimiter
from sizeup_gateway.routing.dispatcher import Dispatcher
from sizeup_gateway.scaling.activator import Activator
from sizeup_gateway.scaling.keep_alive import KeepAlive
from sizeup_gateway.scaling.rollout_resumer import RolloutResumer
from sizeup_gateway.scaling.scaler import Scaler
from sizeup_gateway.settings import Settings
from sizeup_telemetry import api_docs
from sizeup_telemetry.drain import Drain
from sizeup_telemetry.http.backlog import Backlog
from sizeup_telemetry.http.refusal import Refuse
from sizeup_telemetry.metrics import metrics_router
from sizeup_telemetry.places import Places
from sizeup_telemetry.tracing.spans import Tracing, no_client_spans
from sizeup_wire.catalog import Catalog

_log = logging.getLogger(__name__)

Job = Callable[[], Coroutine[Any, Any, None]]

_DESCRIPTION = """\
Ollama's, OpenAI's and Anthropic's API for the models of one catalog, side by side.

Request bodies are read as JSON whatever their Content-Type. Errors, including 404 and 405, have the
shape of the path's dialect: Anthropic's under /v1/messages, OpenAI's elsewhere under /v1, Ollama's
on all other paths. If API keys are configured, every path except / and the health probes requires
one, as `Authorization: Bearer` or `X-Api-Key`.
Browsers find a page at / that compares the sizes.
"""


_ON_THIS_MACHINE = "`sizeup pull NAME` downloads a model, `sizeup up NAME` serves it"
_IN_CHART = "its operator serves a model by `models` in the values of the chart"


def create_app(
    settings: Settings,
    catalog: Catalog,
    registry: CollectorRegistry,
    drain: Drain,
    cluster: ClusterClient | None = None,
    scales: ScaleApi | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """Create the application; raise ValueError or OSError for an invalid configuration.

    With a cluster, the Services of the catalog are discovered and scaled there. Without one,
    `scales` scales the models of the catalog. Without `tracing`, nothing is traced.
    """
    scales = cluster or scales
    check_placement(catalog, discovers=cluster is not None, scales=scales is not None)
    parts = _parts(settings, catalog, registry, cluster, scales, tracing)
    created = CreatedModels(parts.models, _store(settings, cluster), parts.metrics)
    probes = health.health_router(
        parts.models, drain, lambda: parts.discovery.has_synced and created.has_synced
    )
    metrics, page = metrics_router(registry, settings.metrics_port), page_router()
    dependencies = _dependencies(settings, parts, drain)
    jobs = {**_jobs(settings, parts, cluster, scales), "created_models": created.run}
    queue_seconds = settings.activation_seconds
    remedy = _ON_THIS_MACHINE if cluster is None else _IN_CHART
    answer_limits = AnswerLimits(queue_seconds, settings.total_seconds + queue_seconds)
    routers = (
        OpenAIRoutes(dependencies).router(),
        ResponsesRoutes(dependencies).router(),
        AnthropicRoutes(dependencies).router(),
        page,  # before Ollama's: the heartbeat has the path of the page
        OllamaRoutes(dependencies, settings.stream_default).router(),
        ManageRoutes(dependencies, created, queue_seconds, remedy).router(),
        CompareRoutes(
            dependencies,
            Comparisons(dependencies.dispatcher, answer_limits, settings.max_compare_answers),
            LoadTestReport(settings.load_test_report),
        ).router(),
        unsupported_router(),
        probes,
        metrics,
    )
    app = api_docs.create_app(
        *routers,
        title="sizeup",
        version=version("sizeup-gateway"),
        description=_DESCRIPTION,
        redirect_slashes=False,
        exception_handlers=exception_handlers(),
        lifespan=lambda _app: _lifespan(parts.client, jobs),
    )
    route_label = route_labels(app.routes)
    app.state.refuse = refuser(
        parts.metrics, route_label, lambda scope: allowed_methods(app.routes, scope)
    )
    limits, poll_seconds = default_limits(settings), settings.catalog_poll_seconds
    keys = ApiKeys({}, limits)
    if settings.api_keys_file is not None:
        file = keys_file(settings.api_keys_file, keys, limits, parts.metrics, poll_seconds)
        file.load()
        jobs["api_keys"] = file.run
    app.state.backlog = Backlog(
        lambda path: without_extra_slashes(path) in COMPUTING_PATHS,
        parts.models.room,
        keys.client_of,
    )
    unmeasured = _paths(probes) | _paths(metrics)
    measured = Middleware(
        RequestMetricsMiddleware,
        metrics=parts.metrics,
        route_label=route_label,
        unmeasured=unmeasured,
    )
    traced = [] if tracing is None else [tracing.middleware(unmeasured | _paths(page))]
    app.user_middleware = middleware_stack(settings, keys, measured, _paths(probes), traced)
    api_docs.serve_api_docs(
        app,
        enabled=settings.api_docs,
        security_schemes=None if settings.api_keys_file is None else API_KEY_SCHEMES,
    )
    return app


def refused_requests(app: FastAPI) -> Refuse:
    """Return what responds to the requests that do not reach an application of `create_app`."""
    refuse: Refuse = app.state.refuse
    return refuse


def backlog(app: FastAPI) -> Backlog:
    """Return what bounds the requests that wait for an application of `create_app`."""
    found: Backlog = app.state.backlog
    return found


def _store(settings: Settings, cluster: ClusterClient | None) -> Store | None:
    path, name = settings.created_models, settings.created_models_config_map
    if name is None:
        return None if path is None else FileStore(path, settings.catalog_poll_seconds)
    if path is not None or cluster is None:
        required = "SIZEUP_GATEWAY_DISCOVERY=kubernetes and no SIZEUP_GATEWAY_CREATED_MODELS"
        raise ValueError(f"SIZEUP_GATEWAY_CREATED_MODELS_CONFIG_MAP requires {required}")
    return ConfigMapStore(cluster, name)


def _paths(router: APIRouter) -> frozenset[str]:
    return frozenset(str(getattr(route, "path", "")) for route in router.routes)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Shared by requests and background jobs."""

    models: Models
    metrics: Metrics
    client: InferenceClient
    activator: Activator
    endpoints: Endpoints
    discovery: Discovery


def _parts(
    settings: Settings,
    catalog: Catalog,
    registry: CollectorRegistry,
    cluster: ClusterClient | None,
    scales: ScaleApi | None,
    tracing: Tracing | None,
) -> _Parts:
    models, metrics = Models(catalog), Metrics(registry)
    registry.register(ModelCollector(models))
    client_spans = no_client_spans if tracing is None else tracing.client_span
    client = InferenceClient(
        connect=settings.connect_seconds,
        first_event=settings.first_event_seconds,
        between_events=settings.between_events_seconds,
        probe=settings.probe_timeout_seconds,
        client_spans=client_spans,
    )
    endpoints = Endpoints()
    resolve = None if cluster is None else endpoints.urls
    discovery = Discovery(models, client, settings.probe_interval_seconds, resolve)
    activator = Activator(
        scales,
        metrics,
        max_queued=settings.activation_queue,
        queue_seconds=settings.activation_seconds,
        while_loading=settings.queue_while_loading,
    )
    return _Parts(models, metrics, client, activator, endpoints, discovery)


def _jobs(
    settings: Settings, parts: _Parts, cluster: ClusterClient | None, scales: ScaleApi | None
) -> Mapping[str, Job]:
    def apply(changed: Catalog) -> None:
        check_placement(changed, discovers=cluster is not None, scales=scales is not None)
        for model in parts.models.apply(changed):
            parts.activator.remove(model)
        parts.discovery.refresh()

    poll_seconds = settings.catalog_poll_seconds
    file = catalog_file(settings.catalog, parts.models, apply, parts.metrics, poll_seconds)
    jobs: dict[str, Job] = {"discovery": parts.discovery.run, "catalog": file.run}
    if cluster is not None:
        changed = parts.discovery.endpoints_changed
        jobs["watch"] = EndpointWatch(cluster, parts.endpoints, changed).run
        jobs["rollout_resumer"] = RolloutResumer(parts.models, cluster).run
    if scales is not None:
        jobs["scaler"] = Scaler(parts.models, parts.client, scales, parts.activator).run
    return jobs


def _dependencies(settings: Settings, parts: _Parts, drain: Drain) -> Dependencies:
    bodies = BodyLimits(settings.max_body_bytes, settings.max_bodies_bytes, settings.body_seconds)
    memory = ResponseMemoryLimiter(settings.max_response_bytes, settings.max_responses_bytes)
    places, seconds = Places(settings.max_in_flight), settings.total_seconds
    admission = Admission(places, seconds, drain, memory, settings.activation_seconds)
    return Dependencies(
        parts.models,
        Dispatcher(parts.client, parts.activator, parts.metrics),
        KeepAlive(parts.client, parts.activator),
        admission,
        BodyReader(bodies, drain),
        settings.fallback,
    )


@contextlib.asynccontextmanager
async def _lifespan(client: InferenceClient, jobs: Mapping[str, Job]) -> AsyncIterator[None]:
    """Keep the connections open and the jobs running while the application serves."""
    async with client:
        tasks = [asyncio.create_task(job(), name=name) for name, job in jobs.items()]
        for task in tasks:
            task.add_done_callback(_log_failure)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log a crashed job at once: without discovery, for example, the gateway degrades silently."""
    if not task.cancelled() and task.exception() is not None:
        _log.critical(f"{task.get_name()}.crashed", exc_info=task.exception())
