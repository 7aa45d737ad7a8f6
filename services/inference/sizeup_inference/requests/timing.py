"""The timing of one request: Ollama's durations and the latency histograms."""

import time

from sizeup_inference.metrics import InferenceMetrics


class RequestTiming:
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

    def finish(self) -> int:
        """Observe the request's duration and return it in nanoseconds."""
        total_ns = time.monotonic_ns() - self._arrived_ns
        self._metrics.request_duration.observe(total_ns / 1e9)
        return total_ns
