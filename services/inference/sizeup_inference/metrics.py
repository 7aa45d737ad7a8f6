"""The Prometheus metrics of an inference process, all labelled with its `model` id."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sizeup_inference.engine.protocol import EngineStats
from sizeup_telemetry import buckets
from sizeup_wire.model import ModelInfo

_PREFIX = "sizeup_inference_"
_GAUGES = {
    "requests_running": ("running", "Sequences in the running batch"),
    "requests_waiting": ("waiting", "Sequences in the waiting queue"),
    "kv_cache_pages_used": ("pages_used", "KV cache pages in use"),
    "kv_cache_pages_total": ("pages_total", "KV cache pages in total"),
    "draft_length": (
        "draft_length",
        "Draft tokens of each sequence in the latest step; 0 where drafting does not pay",
    ),
    "last_step_duration_seconds": ("last_step_seconds", "Duration of the latest engine step"),
}
"""Metric -> (attribute of EngineStats, help)."""
_COUNTERS = {
    "engine_steps": ("steps", "Engine steps"),
    "preemptions": ("preemptions", "Preemptions; the KV cache of the sequence is recomputed"),
    "prompt_tokens": ("prompt_tokens", "Prompt tokens computed, without cached ones"),
    "prefix_cache_queries": (
        "prefix_cache_queries",
        "Tokens looked up in the prefix cache at admission",
    ),
    "prefix_cache_hits": ("prefix_cache_hits", "Tokens found in the prefix cache"),
    "completion_tokens": ("completion_tokens", "Tokens generated"),
    "draft_tokens": ("draft_tokens", "Tokens proposed by the draft model"),
    "draft_accepted_tokens": (
        "draft_accepted_tokens",
        "Draft tokens that the model generated as well",
    ),
}


class InferenceMetrics:
    """Metrics of requests; outcomes are `ok`, `cancelled` and the wire's error codes."""

    def __init__(self, registry: CollectorRegistry, model_id: str) -> None:
        self._registry = registry
        self.model_id = model_id
        self._requests = Counter(
            _PREFIX + "requests", "Requests by outcome", ["model", "outcome"], registry=registry
        )
        self.time_to_first_token = self._histogram(
            "time_to_first_token_seconds",
            "Time from arrival to the first token",
            buckets.TIME_TO_FIRST_TOKEN_SECONDS,
        )
        self.inter_token_latency = self._histogram(
            "inter_token_latency_seconds",
            "Time between consecutive tokens of a choice",
            buckets.INTER_TOKEN_SECONDS,
        )
        self.request_duration = self._histogram(
            "request_duration_seconds",
            "Time from arrival to the end of the response",
            buckets.END_TO_END_SECONDS,
        )
        self._batch_size = self._histogram(
            "batch_size", "Sequences with a sampled token in an engine step", buckets.BATCH_SIZE
        )
        self.grammar_compilation = self._histogram(
            "grammar_compilation_seconds",
            "Time to compile the grammar of a structured output, with its queue",
            buckets.TIME_TO_FIRST_TOKEN_SECONDS,
        )
        self._load_duration = self._gauge(
            "model_load_duration_seconds", "Time to load and warm up the model"
        ).labels(model_id)
        self._kernels_info = self._gauge(
            "kernels_info",
            "What computes a step: transformers, or compiled kernels by instruction set",
            "kernels",
        )
        self._fast_path_enabled = self._gauge(
            "fast_path_enabled",
            "Whether a fast path computes steps, 0 or 1; the model's description has the reasons",
            "path",
        )

    def loaded(self, info: ModelInfo, seconds: float) -> None:
        """Report a loaded model."""
        self._load_duration.set(seconds)
        self._kernels_info.labels(self.model_id, info.kernels).set(1)
        for path in info.fast_paths:
            self._fast_path_enabled.labels(self.model_id, path.name).set(path.enabled)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(_PREFIX + name, text, ["model", *labels], registry=self._registry)

    def _histogram(self, name: str, text: str, limits: Iterable[float]) -> Histogram:
        return Histogram(
            _PREFIX + name, text, ["model"], buckets=tuple(limits), registry=self._registry
        ).labels(self.model_id)

    def count(self, outcome: str) -> None:
        """Count a request that ended."""
        self._requests.labels(self.model_id, outcome).inc()

    def on_step(self, sequences: int) -> None:
        """Observe a step by the sequences that got tokens; a step of prefill has none."""
        if sequences:
            self._batch_size.observe(sequences)

    def watch(self, stats: Callable[[], EngineStats]) -> None:
        """Export an engine's statistics, read at every scrape."""
        self._registry.register(_EngineCollector(stats, self.model_id))


class _EngineCollector(Collector):
    def __init__(self, stats: Callable[[], EngineStats], model_id: str) -> None:
        self._stats = stats
        self._labels = [model_id]

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        for family, metrics in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
            for name, (attribute, text) in metrics.items():
                metric = family(_PREFIX + name, text, labels=["model"])
                metric.add_metric(self._labels, getattr(stats, attribute))
                yield metric
