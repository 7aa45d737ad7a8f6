"""What is measured and logged of one request, whatever becomes of it."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sizeup_gateway.api import unsupported_routes
from sizeup_gateway.observability.metrics import UNKNOWN_MODEL, Metrics
from sizeup_wire.events import Event, Failed, Finished, PromptTokens, Started, ToolCall

_log = logging.getLogger(__name__)

_SCOPE_KEY = "sizeup.observation"
_QUIET = frozenset({"/livez", "/readyz", "/health", "/metrics"})
"""Asked every second by machines: neither logged nor counted."""

_ROUTES = frozenset(
    {
        *unsupported_routes.PATHS,
        "/",
        "/api/version",
        "/api/tags",
        "/api/ps",
        "/api/show",
        "/api/chat",
        "/api/generate",
        "/v1/models",
        "/v1/chat/completions",
        "/v1/completions",
    }
)


def route_label(path: str) -> str:
    """Fold a path into a closed set."""
    if path in _ROUTES:
        return path
    return "/v1/models/{id}" if path.startswith("/v1/models/") else "other"


class Observation:
    """Follow one request from its arrival to its end."""

    def __init__(self, metrics: Metrics, route: str) -> None:
        """Start the clock."""
        self.metrics = metrics
        self.route = route
        self.model = UNKNOWN_MODEL
        self.outcome: str | None = None
        """None until known; a reply without an error is "ok"."""
        self.status: int | None = None
        self._started_ns = time.monotonic_ns()
        self._last_token_ns: dict[int, int] = {}
        """By choice."""
        self._finished: Finished | None = None
        self._first_token_seconds: float | None = None

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds since the request arrived."""
        return time.monotonic_ns() - self._started_ns

    def saw(self, event: Event) -> None:
        """Take the times and counts of one event."""
        match event:
            case Finished():
                self._finished = event
            case ToolCall():
                self._saw_tokens(event.choice, 0)  # how many it took is not said
            case Started() | PromptTokens() | Failed():
                pass
            case _:
                self._saw_tokens(event.choice, event.tokens)

    def _saw_tokens(self, choice: int, tokens: int) -> None:
        """Take the time of one event; several tokens in one share the time since the last."""
        now = time.monotonic_ns()
        if self._first_token_seconds is None:
            self._first_token_seconds = (now - self._started_ns) / 1e9
            self.metrics.time_to_first_token.labels(self.model).observe(self._first_token_seconds)
        elif tokens and choice in self._last_token_ns:
            seconds = (now - self._last_token_ns[choice]) / 1e9 / tokens
            inter_token = self.metrics.inter_token.labels(self.model)
            for _ in range(tokens):
                inter_token.observe(seconds)
        self._last_token_ns[choice] = now

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count the request as running while the block runs."""
        gauge = self.metrics.in_flight.labels(self.model)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def end(self) -> None:
        """Write everything down, once."""
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
        if self._first_token_seconds is not None:
            fields["first_token_seconds"] = round(self._first_token_seconds, 6)
        if self._finished is not None:
            self.metrics.request_seconds.labels(self.model).observe(seconds)
            fields |= self._count(self._finished)
        _log.info("request.finished", extra=fields)

    def _count(self, finished: Finished) -> dict[str, object]:
        self.metrics.prompt_tokens.labels(self.model).inc(finished.prompt_tokens)
        self.metrics.completion_tokens.labels(self.model).inc(finished.completion_tokens)
        return {
            "prompt_tokens": finished.prompt_tokens,
            "completion_tokens": finished.completion_tokens,
        }


def observation_of(scope: Scope) -> Observation:
    """Return the observation of the request a scope belongs to."""
    observation: Observation = scope[_SCOPE_KEY]
    return observation


class ObservationMiddleware:
    """Observe every request but probes. Pure ASGI: never buffers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap an application."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        observation = Observation(self._metrics, route_label(scope["path"]))
        scope[_SCOPE_KEY] = observation

        async def send_observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                observation.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        finally:
            if scope["path"] not in _QUIET:
                observation.end()
