"""Responses to requests that do not reach the application, in the dialect of their path."""

from collections.abc import Callable, Mapping

from starlette.responses import Response
from starlette.types import Scope

from sizeup_gateway.errors import AccessCode, AccessError, GatewayError
from sizeup_gateway.middleware.error_responses import respond_with
from sizeup_gateway.middleware.paths import without_extra_slashes
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.observability.request_metrics import RequestMetrics, attach_metrics
from sizeup_telemetry.http.refusal import Refusal, Refuse
from sizeup_wire.errors import ErrorCode

_CODES: Mapping[int, ErrorCode | AccessCode] = {
    400: ErrorCode.INVALID_REQUEST,
    408: AccessCode.BODY_TIMEOUT,
    414: AccessCode.URL_TOO_LONG,
    431: AccessCode.HEADERS_TOO_LARGE,
    500: ErrorCode.INTERNAL,
    503: ErrorCode.BUSY,
}


def refuser(
    metrics: Metrics, route_label: Callable[[str], str], allowed: Callable[[Scope], str]
) -> Refuse:
    """Return what responds, counts and logs as for any other request that fails.

    `allowed` returns the methods of a path, for the Allow header.
    """

    def respond(path: str, refusal: Refusal) -> Response:
        path = without_extra_slashes(path)
        request = RequestMetrics(metrics, route_label(path))
        scope: Scope = {"type": "http", "path": path, "method": ""}
        attach_metrics(scope, request)
        allow = allowed(scope) if refusal.status == 405 else ""
        response = respond_with(_error(refusal, allow), scope)
        request.status = response.status_code
        request.finish()
        return response

    return respond


def _error(refusal: Refusal, allow: str) -> GatewayError:
    """Return the error of a status; other statuses than those of the server are bugs."""
    if refusal.status != 405:
        return GatewayError(_CODES.get(refusal.status, ErrorCode.INTERNAL), refusal.message)
    if not allow:
        return AccessError(AccessCode.ROUTE_NOT_FOUND, "not found")
    return AccessError(AccessCode.METHOD_NOT_ALLOWED, refusal.message, headers={"Allow": allow})
