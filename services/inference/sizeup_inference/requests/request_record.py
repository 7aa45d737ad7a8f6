"""The record of one request: Ollama's durations, the latency histograms, log and trace."""

import time
from collections.abc import Mapping
from typing import Any

from sizeup_inference.metrics import InferenceMetrics
from sizeup_telemetry.tracing.spans import current_span, fail

_NAMES: Mapping[str, str] = {
    "model": "gen_ai.response.model",
    "reasons": "gen_ai.response.finish_reasons",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
}
"""Fields of the log -> attributes of the span, by OpenTelemetry's names and vLLM's."""
_DURATIONS: Mapping[str, str] = {
    "queued_ns": "gen_ai.latency.time_in_queue",
    "prompt_eval_ns": "gen_ai.latency.time_in_model_prefill",
    "eval_ns": "gen_ai.latency.time_in_model_decode",
    "total_ns": "gen_ai.latency.e2e",
}
"""In seconds."""


class RequestRecord:
    """Timestamps of one request in time.monotonic_ns(), and the durations between them."""

    def __init__(self, metrics: InferenceMetrics, arrived_ns: int) -> None:
        """Create it right before the request is submitted."""
        self._metrics = metrics
        self._arrived_ns = arrived_ns
        self._submitted_ns = time.monotonic_ns()
        self._admitted_ns = self._first_ns = self._last_ns = 0
        self._latest_token_ns: dict[int, int] = {}
        """By choice."""

    @property
    def queued_ns(self) -> int:
        """From submission to admission; the engine may admit before its caller has the time."""
        return max(0, self._admitted_ns - self._submitted_ns)

    @property
    def prompt_eval_ns(self) -> int:
        """From admission to the first token."""
        return max(0, self._first_ns - self._admitted_ns)

    @property
    def eval_ns(self) -> int:
        """From the first token to the last."""
        return self._last_ns - self._first_ns

    def admitted(self, at_ns: int) -> None:
        """Record that the request left the waiting queue."""
        self._admitted_ns = at_ns

    def prompt_evaluated(self, at_ns: int) -> None:
        """Record the end of a request that generates no tokens."""
        self._first_ns = self._last_ns = at_ns

    def token(self, choice: int, at_ns: int) -> None:
        """Record a token, and observe its latency."""
        if not self._first_ns:
            self._first_ns = at_ns
            self._metrics.time_to_first_token.observe((at_ns - self._arrived_ns) / 1e9)
        elif choice in self._latest_token_ns:
            gap = at_ns - self._latest_token_ns[choice]
            self._metrics.inter_token_latency.observe(gap / 1e9)
        self._latest_token_ns[choice] = self._last_ns = at_ns

    def finish(self, outcome: str, counts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Count and trace the ended request; return the fields of `request.finished`."""
        total_ns = time.monotonic_ns() - self._arrived_ns
        self._metrics.request_duration.observe(total_ns / 1e9)
        self._metrics.count(outcome)
        fields = {
            "model": self._metrics.model_id,
            "outcome": outcome,
            **counts,
            "queued_ns": self.queued_ns,
            "prompt_eval_ns": self.prompt_eval_ns,
            "total_ns": total_ns,
        }
        _annotate_span(fields)
        return fields


def _annotate_span(fields: Mapping[str, Any]) -> None:
    """Describe the current span, if the request is traced."""
    span = current_span()
    if span is None:
        return
    for field, value in fields.items():
        if field in _NAMES:
            # choices that have not ended have no reason
            known = [v for v in value if v is not None] if isinstance(value, list) else value
            span.set_attribute(_NAMES[field], known)
        elif field in _DURATIONS:
            span.set_attribute(_DURATIONS[field], value / 1e9)
    if fields["outcome"] != "ok":
        fail(span, fields["outcome"])
