"""Every metric of an inference process; `model`, the id of the one model here, labels them all."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sizeup_inference.engine.protocol import EngineStats
from sizeup_telemetry import buckets

_PREFIX = "sizeup_inference_"
_GAUGES = {
    "running": "Sequences that are being computed",
    "waiting": "Sequences in the waiting queue",
    "pages_used": "Pages of the KV pool in use",
    "pages_total": "Pages of the KV pool",
    "last_step_seconds": "Duration of the latest step",
}
_COUNTERS = {
    "steps": "Steps of the engine",
    "preemptions": "Sequences that lost their pages and were computed again",
    "prompt_tokens": "Prompt tokens computed",
    "completion_tokens": "Tokens generated",
}
_NAMES = {"pages_used": "kv_pages_used", "pages_total": "kv_pages_total"}


class InferenceMetrics:
    """What requests are measured by; outcomes are `ok`, `cancelled` and the wire's error codes."""

    def __init__(self, registry: CollectorRegistry, model_id: str) -> None:
        """Register everything but the engine's own numbers."""
        self._registry = registry
        self._model_id = model_id
        self._requests = Counter(
            _PREFIX + "requests", "Requests that ended", ["model", "outcome"], registry=registry
        )
        histograms = {
            "time_to_first_token_seconds": buckets.TIME_TO_FIRST_TOKEN_SECONDS,
            "inter_token_seconds": buckets.INTER_TOKEN_SECONDS,
            "request_seconds": buckets.END_TO_END_SECONDS,
            "batch_size": buckets.BATCH_SIZE,
        }
        made = {
            name: Histogram(
                _PREFIX + name, _HISTOGRAMS[name], ["model"], buckets=limits, registry=registry
            ).labels(model_id)
            for name, limits in histograms.items()
        }
        self.time_to_first_token = made["time_to_first_token_seconds"]
        self.inter_token = made["inter_token_seconds"]
        self.request_seconds = made["request_seconds"]
        self._batch_size = made["batch_size"]
        self.load_seconds = Gauge(
            _PREFIX + "load_seconds", "Time to load and warm up", ["model"], registry=registry
        ).labels(model_id)

    def count(self, outcome: str) -> None:
        """Count a request that ended."""
        self._requests.labels(self._model_id, outcome).inc()

    def on_step(self, tokens: int) -> None:
        """Observe a step by the tokens it made, one per sequence; prefill alone makes none."""
        if tokens:
            self._batch_size.observe(tokens)

    def watch(self, stats: Callable[[], EngineStats]) -> None:
        """Read an engine's own numbers at every scrape from now on."""
        self._registry.register(_EngineCollector(stats, self._model_id))


_HISTOGRAMS = {
    "time_to_first_token_seconds": "From arrival to the first token",
    "inter_token_seconds": "Between two tokens of a choice",
    "request_seconds": "From arrival to the end of the answer",
    "batch_size": "Sequences that got a token in a step",
}


class _EngineCollector(Collector):
    """The engine's snapshot in Prometheus's words."""

    def __init__(self, stats: Callable[[], EngineStats], model_id: str) -> None:
        self._stats = stats
        self._labels = [model_id]

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        for name, text in _GAUGES.items():
            gauge = GaugeMetricFamily(_PREFIX + _NAMES.get(name, name), text, labels=["model"])
            gauge.add_metric(self._labels, getattr(stats, name))
            yield gauge
        for name, text in _COUNTERS.items():
            counter = CounterMetricFamily(_PREFIX + name, text, labels=["model"])
            counter.add_metric(self._labels, getattr(stats, name))
            yield counter
