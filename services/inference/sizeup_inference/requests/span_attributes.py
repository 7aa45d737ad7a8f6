"""What the span of a request says of it: its log record, by OpenTelemetry's names and vLLM's."""

from collections.abc import Mapping, Sequence
from typing import Any

from sizeup_telemetry.tracing.spans import current_span, fail

_NAMES: Mapping[str, str] = {
    "model": "gen_ai.response.model",
    "reasons": "gen_ai.response.finish_reasons",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
}
_DURATIONS: Mapping[str, str] = {
    "queued_ns": "gen_ai.latency.time_in_queue",
    "prompt_eval_ns": "gen_ai.latency.time_in_model_prefill",
    "eval_ns": "gen_ai.latency.time_in_model_decode",
    "total_ns": "gen_ai.latency.e2e",
}
"""In seconds."""


def annotate_span(fields: Mapping[str, Any]) -> None:
    """Describe the current span, if the request is traced, by the fields of `request.finished`."""
    span = current_span()
    if span is None:
        return
    for field, name in _NAMES.items():
        if field in fields:
            span.set_attribute(name, _without_none(fields[field]))
    for field, name in _DURATIONS.items():
        if field in fields:
            span.set_attribute(name, fields[field] / 1e9)
    if fields["outcome"] != "ok":
        fail(span, fields["outcome"])


def _without_none(value: Any) -> Any:
    """Choices that have not ended have no reason."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [one for one in value if one is not None]
    return value
