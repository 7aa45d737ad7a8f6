"""Metrics and the log line of one request, whatever its outcome."""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sizeup_gateway.observability.metrics import UNKNOWN_MODEL, Metrics
from sizeup_gateway.observability.span_attributes import annotate_span
from sizeup_wire.events import (
    Event,
    Failed,
    Finished,
    PromptTokens,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)

_log = logging.getLogger(__name__)

_SCOPE_KEY = "sizeup.request_metrics"


class RequestMetrics:
    """Measures one request from its arrival to its end."""

    def __init__(self, metrics: Metrics, route: str) -> None:
        self.metrics = metrics
        self.route = route
        self.model = UNKNOWN_MODEL
        self.api_key_name: str | None = None
        self.outcome: str | None = None
        """None until known; a response without an error is "ok"."""
        self.status: int | None = None
        self.tokens = 0
        """Of prompt and output so far."""
        self._parent: RequestMetrics | None = None
        self._started_ns = time.monotonic_ns()
        self._last_token_ns: dict[int, int] = {}
        """By choice."""
        self._finished: Finished | None = None
        self._first_token_seconds: float | None = None
        self._observe_latency: Callable[[float], None] | None = None
        """Of the model; looking it up takes as long as observing."""

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds since the request arrived."""
        return time.monotonic_ns() - self._started_ns

    def record_selection(self, virtual: str | None, instead_of: str | None) -> None:
        """Count a virtual name, and the key of the model in whose place this one serves."""
        if virtual is not None:
            self.metrics.virtual_names.labels(virtual, self.model).inc()
        if instead_of is not None:
            self.metrics.fallbacks.labels(self.model, instead_of).inc()

    def of_part(self, model: str) -> "RequestMetrics":
        """Begin the metrics of a part of this request, which runs a model by this key."""
        part = RequestMetrics(self.metrics, self.route)
        part.model, part.status, part._parent = model, 200, self
        part.api_key_name = self.api_key_name
        return part

    def record_event(self, event: Event) -> None:
        match event:
            case Text() | Thinking():
                self._record_tokens(event.choice, event.tokens)
            case ToolCallStarted() | ToolCallArguments() | ToolCall():
                self._record_tokens(event.choice, 0)  # these do not carry their token counts
            case Started():
                self._add_tokens(event.prompt_tokens)
            case Finished():
                self._finished = event
                self._add_tokens(event.prompt_tokens + event.completion_tokens - self.tokens)
            case PromptTokens() | Failed():
                pass

    def _add_tokens(self, tokens: int) -> None:
        self.tokens += tokens
        if self._parent is not None:
            self._parent.tokens += tokens

    def _record_tokens(self, choice: int, tokens: int) -> None:
        """Record one event; its tokens share the time since the previous event of the choice."""
        now = time.monotonic_ns()
        self._add_tokens(tokens)
        if self._first_token_seconds is None:
            self._first_token_seconds = (now - self._started_ns) / 1e9
            self.metrics.time_to_first_token.labels(self.model).observe(self._first_token_seconds)
            self._observe_latency = self.metrics.inter_token_latency.labels(self.model).observe
        elif self._observe_latency is not None and tokens and choice in self._last_token_ns:
            seconds = (now - self._last_token_ns[choice]) / 1e9 / tokens
            for _ in range(tokens):
                self._observe_latency(seconds)
        self._last_token_ns[choice] = now

    def in_flight(self) -> AbstractContextManager[object]:
        """Count the request as in flight while the block runs."""
        return self.metrics.requests_in_flight.labels(self.model).track_inprogress()

    def finish(self) -> None:
        """Update the counters and write the log line; called once."""
        outcome = self.outcome or ("ok" if (self.status or 500) < 400 else "internal")
        self.metrics.requests.labels(self.model, self.route, outcome).inc()
        seconds = self.elapsed_ns / 1e9
        fields: dict[str, object] = {
            "route": self.route,
            "model": self.model,
            "outcome": outcome,
            "status": self.status,
            "seconds": round(seconds, 6),
        }
        if self.api_key_name is not None:
            fields["api_key_name"] = self.api_key_name
        if self._first_token_seconds is not None:
            fields["first_token_seconds"] = round(self._first_token_seconds, 6)
        if self._finished is not None:
            self.metrics.request_duration.labels(self.model).observe(seconds)
            fields |= self._count_tokens(self._finished)
        _log.info("request.finished", extra=fields)
        if self._parent is None:
            self._count_key(outcome)
            annotate_span(fields)

    def _count_key(self, outcome: str) -> None:
        if self.api_key_name is not None:
            self.metrics.api_key_requests.labels(self.api_key_name, outcome).inc()
            self.metrics.api_key_tokens.labels(self.api_key_name).inc(self.tokens)

    def _count_tokens(self, finished: Finished) -> dict[str, object]:
        self.metrics.prompt_tokens.labels(self.model).inc(finished.prompt_tokens)
        self.metrics.completion_tokens.labels(self.model).inc(finished.completion_tokens)
        return {
            "prompt_tokens": finished.prompt_tokens,
            "completion_tokens": finished.completion_tokens,
        }


def attach_metrics(scope: Scope, request: RequestMetrics) -> None:
    scope[_SCOPE_KEY] = request


def metrics_of(scope: Scope) -> RequestMetrics:
    found: RequestMetrics = scope[_SCOPE_KEY]
    return found


@dataclass(frozen=True, slots=True)
class RequestMetricsMiddleware:
    """Measure every request except those for `unmeasured` paths. Pure ASGI: never buffers."""

    app: ASGIApp
    metrics: Metrics
    route_label: Callable[[str], str]
    """Maps a path to the `route` label, a closed set."""
    unmeasured: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = RequestMetrics(self.metrics, self.route_label(scope["path"]))
        attach_metrics(scope, request)

        async def send_and_record(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_record)
        finally:
            if scope["path"] not in self.unmeasured:
                request.finish()
