"""The spans of one process, and the context that they carry to the next."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.datastructures import URL
from starlette.middleware import Middleware
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
from starlette.types import Receive, Scope, Send

from sizeup_telemetry.background import in_thread
from sizeup_telemetry.tracing.settings import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_CLOSE_SECONDS = 3.0
"""For the last spans at the end of a process: a collector that is down must not use up what is left
of the grace period."""
_TRACER = "sizeup"


@dataclass(frozen=True, slots=True)
class ClientSpan:
    """One request to another process; by default one that is not traced."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """W3C trace context, or what OTEL_PROPAGATORS names."""
    span: Span = trace.INVALID_SPAN

    def end(self, error_type: str | None = None) -> None:
        """End it before its block, which may be left late, or by an exception of its own."""
        if error_type is not None:
            fail(self.span, error_type)
        self.span.end()


ClientSpans = Callable[[str], AbstractContextManager[ClientSpan]]
"""Begins the span of a POST request to a URL; it ends with the block."""

_UNTRACED = nullcontext(ClientSpan())


def no_client_spans(_url: str) -> AbstractContextManager[ClientSpan]:
    return _UNTRACED


def fail(span: Span, error_type: str) -> None:
    """Mark a span as failed, by the code of the error."""
    span.set_attribute("error.type", error_type)
    span.set_status(StatusCode.ERROR)


def _error_type(error: BaseException) -> str:
    """Return the code of an error; the client has disconnected if a request is cancelled."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled"
    return str(getattr(error, "code", type(error).__qualname__))


def current_span() -> Span | None:
    """Return the span of the current request; None if it is not traced."""
    span = trace.get_current_span()
    return span if span.is_recording() else None


def trace_ids() -> Mapping[str, str]:
    """Return the ids of the current span as fields of a log record."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


class _ServerSpans(OpenTelemetryMiddleware):
    """Starlette's, which a Host header that is no address would make fail: that is not traced.

    A span ends when the application returns: with its stream, or when the client disconnects.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_traced = scope["type"] == "http" and _has_valid_host(scope)
        await (super().__call__ if is_traced else self.app)(scope, receive, send)


def _has_valid_host(scope: Scope) -> bool:
    try:
        _ = URL(scope=scope).port
    except ValueError:
        return False
    return True


class Tracing:
    def __init__(self, provider: "TracerProvider", excluded_urls: Iterable[str]) -> None:
        self._provider = provider
        self.shutdown = provider.shutdown
        self._tracer = provider.get_tracer(_TRACER)
        self._excluded_urls = tuple(excluded_urls)

    def middleware(self, untraced: Iterable[str]) -> Middleware:
        """Return the middleware that traces requests, except those for `untraced` paths."""
        paths = "|".join(map(re.escape, sorted(untraced)))
        patterns = [rf"^\w+://[^/]*({paths})(\?|$)", *self._excluded_urls]
        return Middleware(_ServerSpans, excluded_urls=patterns, tracer_provider=self._provider)

    @contextmanager
    def client_span(self, url: str) -> Iterator[ClientSpan]:
        """Trace one POST request, to the end of the block or of its ClientSpan.

        It is not the current span: the block may be in a generator, which runs in the contexts of
        its callers.
        """
        parts = urlsplit(url)
        span = self._tracer.start_span(
            "POST",
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": "POST",
                "url.full": url,
                "server.address": parts.hostname or "",
                "server.port": parts.port or 80,
            },
        )
        headers: dict[str, str] = {}
        propagate.inject(headers, trace.set_span_in_context(span))
        try:
            yield ClientSpan(headers, span)
        except BaseException as error:
            if span.is_recording():
                fail(span, _error_type(error))
            raise
        finally:
            if span.is_recording():
                span.end()


@asynccontextmanager
async def closing(tracing: Tracing | None) -> AsyncIterator[None]:
    """Send the last spans at the end of the block, within seconds."""
    try:
        yield
    finally:
        if tracing is not None:
            await asyncio.wait({in_thread(tracing.shutdown, "tracing")}, timeout=_CLOSE_SECONDS)


def open_tracing(service: str) -> Tracing | None:
    """Begin to trace if the environment says so; `service` unless it names another.

    Raises ValueError for invalid variables, and where the SDK is missing.
    """
    settings = TracingSettings()
    if not settings.enabled:
        return None
    try:
        from sizeup_telemetry.tracing.provider import make_provider
    except ImportError as error:
        message = "OTEL_* variables enable tracing, which requires sizeup-telemetry[tracing]"
        raise ValueError(message) from error
    return Tracing(make_provider(service), settings.excluded_urls)
