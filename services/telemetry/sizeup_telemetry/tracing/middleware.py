"""Spans of the requests that a process serves."""

from starlette.datastructures import URL
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
from starlette.types import Receive, Scope, Send


class TracingMiddleware(OpenTelemetryMiddleware):
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
