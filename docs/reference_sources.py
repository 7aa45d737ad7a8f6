"""Every settings class and every collector, for docs/settings.md and docs/metrics.md."""

from collections.abc import Iterable, Sequence
from dataclasses import fields

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from pydantic_settings import BaseSettings

import sizeup.settings
import sizeup_gateway.settings
import sizeup_inference.settings
import sizeup_telemetry.tracing.settings
from sizeup.pull.metrics import PullMetrics
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.model_metrics import ModelCollector
from sizeup_gateway.observability.metrics import Metrics
from sizeup_inference.engine.protocol import EngineStats
from sizeup_inference.metrics import InferenceMetrics
from sizeup_store.pull_report import PullProgress
from sizeup_wire.catalog import Catalog

SETTINGS: Sequence[tuple[str, type[BaseSettings]]] = (
    ("Gateway", sizeup_gateway.settings.Settings),
    ("Inference", sizeup_inference.settings.Settings),
    ("Traces of gateway and inference", sizeup_telemetry.tracing.settings.TracingSettings),
    ("Command line", sizeup.settings.Settings),
)


def gateway_metrics() -> CollectorRegistry:
    """Register the metrics of a gateway without models."""
    registry = CollectorRegistry()
    Metrics(registry)
    registry.register(ModelCollector(Models(Catalog(models={}))))
    return registry


def inference_metrics() -> CollectorRegistry:
    """Register the metrics of an inference process with an idle engine."""
    registry = CollectorRegistry()
    idle = EngineStats(*(0 for _ in fields(EngineStats)))
    InferenceMetrics(registry, "model").watch(lambda: idle)
    return registry


def pull_metrics() -> CollectorRegistry:
    """Register the metrics of a download that has not begun."""
    registry = CollectorRegistry()
    registry.register(PullMetrics("model", PullProgress()))
    return registry


METRICS: Sequence[tuple[str, str, CollectorRegistry]] = (
    (
        "Gateway",
        "on `SIZEUP_GATEWAY_METRICS_PORT` if it is set, else on the port of the API",
        gateway_metrics(),
    ),
    (
        "Inference",
        "on `SIZEUP_INFERENCE_METRICS_PORT` if it is set, else on the port of the internal API",
        inference_metrics(),
    ),
    ("Download", "on the port that `sizeup pull --metrics-port` names", pull_metrics()),
)
"""Title, where it is served, registry."""


def collectors(registry: CollectorRegistry) -> Iterable[Collector]:
    """Yield what is registered; prometheus_client has no public list of it."""
    yield from registry._collector_to_names
