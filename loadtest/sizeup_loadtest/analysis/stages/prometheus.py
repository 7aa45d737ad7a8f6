"""Queue, batch and KV cache in the Prometheus metrics of known servers. Pure."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from prometheus_client.parser import text_string_to_metric_families

from sizeup_loadtest.data.results import MeanAndMax, ServerMetrics

_KINDS = ("queue", "running", "kv_usage")
_SERVERS = (
    ("vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc"),
    (None, None, "vllm:gpu_cache_usage_perc"),  # vLLM before V1
    ("sizeup_inference_requests_waiting", "sizeup_inference_requests_running",
     "sizeup_inference_kv_cache_pages_used"),
    ("sglang:num_queue_reqs", "sglang:num_running_reqs", "sglang:token_usage"),
    ("tgi_queue_size", "tgi_batch_current_size", None),
    ("llamacpp:requests_deferred", "llamacpp:requests_processing", None),
    # Before the models, of which a gateway does not know batch and cache.
    ("sizeup_gateway_requests_queued", "sizeup_gateway_requests_in_flight", None),
)  # fmt: skip
"""Names of the kinds of metrics, by precedence; what a server lacks, the next one may have."""
_TOTALS = {"sizeup_inference_kv_cache_pages_used": "sizeup_inference_kv_cache_pages_total"}
"""Metrics that are divided by another one."""
_KNOWN = {*_TOTALS.values(), *(name for server in _SERVERS for name in server if name)}
_NAMES = tuple(name.encode() for name in _KNOWN)
_MODEL_LABELS = ("model_name", "model")
Kinds = Mapping[str, tuple[str, float]]
"""queue, running, kv_usage -> name of the metric and its value."""


_Series = tuple[frozenset[str], float]
"""The names of its model in its labels, and its value."""


def read(body: bytes, model: str) -> Kinds:
    """Return what a server's metrics say of a model; empty where none is known.

    A server whose series have other names for the model is taken to serve this one only. Only lines
    of known metrics are parsed: a server may have thousands of others.
    """
    lines = b"\n".join(line for line in body.split(b"\n") if line.startswith(_NAMES)) + b"\n"
    found: dict[str, list[_Series]] = {}
    try:
        for family in text_string_to_metric_families(lines.decode(errors="replace")):
            for sample in family.samples:
                models = frozenset(sample.labels[n] for n in _MODEL_LABELS if n in sample.labels)
                found.setdefault(sample.name, []).append((models, sample.value))
    except ValueError:
        return {}
    result: dict[str, tuple[str, float]] = {}
    for server in _SERVERS:
        for kind, name in zip(_KINDS, server, strict=True):
            value = _value(found, kind, name, model) if name else None
            if name and value is not None:
                result.setdefault(kind, (name, value))
    return result


def summary(samples: Sequence[Kinds]) -> ServerMetrics | None:
    """Return mean and maximum of samples; None without any."""
    known = [sample for sample in samples if sample]
    if not known:
        return None
    sources = {kind: name for sample in known for kind, (name, _) in sample.items()}
    gauges = {kind: [s[kind][1] for s in known if kind in s] for kind in sources}
    figures = {kind: MeanAndMax(mean=fmean(v), max=max(v)) for kind, v in gauges.items()}
    return ServerMetrics(sources=sources, **figures)


def _value(
    found: Mapping[str, Sequence[_Series]], kind: str, name: str, model: str
) -> float | None:
    """Return the sum over the replicas of a model; of the KV cache the fullest one's."""
    values = _of_model(found.get(name, ()), model)
    if not values:
        return None
    if name in _TOTALS:
        total = sum(_of_model(found.get(_TOTALS[name], ()), model))
        return sum(values) / total if total else None
    return max(values) if kind == "kv_usage" else sum(values)


def _of_model(series: Sequence[_Series], model: str) -> Sequence[float]:
    numbers = [(models, value) for models, value in series if value >= 0]  # not NaN
    own = [value for models, value in numbers if model in models]
    return own or [value for _, value in numbers]
