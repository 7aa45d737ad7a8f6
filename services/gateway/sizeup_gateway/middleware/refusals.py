"""Responses to requests that do not reach the application, in the dialect of their path."""

from collections.abc import Callable, Mapping

from starlette.types import Scope

from sizeup_gateway.errors import AccessCode, AccessError, GatewayError
from sizeup_gateway.middleware.error_responses import respond_with
from sizeup_gateway.middleware.paths import without_extra_slashes
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.observability.request_metrics import RequestMetrics, attach_metrics
from sizeup_telemetry.http.refusal import Refusal, RefusalResponse
from sizeup_wire.errors import ErrorCode

_CODES: Mapping[int, ErrorCode | AccessCode] = {
    400: ErrorCode.INVALID_REQUEST,
    408: AccessCode.BODY_TIMEOUT,
    414: AccessCode.URL_TOO_LONG,
    431: AccessCode.HEADERS_TOO_LARGE,
    500: ErrorCode.INTERNAL,
    503: ErrorCode.BUSY,
}


class RefusedRequests:
    """Responds, counts and logs as for any other request that fails."""

    def __init__(
        self,
        metrics: Metrics,
        route_label: Callable[[str], str],
        allowed: Callable[[Scope], str],
    ) -> None:
        """`allowed` returns the methods of a path, for the Allow header."""
        self._metrics = metrics
        self._route_label = route_label
        self._allowed = allowed

    def __call__(self, path: str, refusal: Refusal) -> RefusalResponse:
        path = without_extra_slashes(path)
        request = RequestMetrics(self._metrics, self._route_label(path))
        scope: Scope = {"type": "http", "path": path, "method": ""}
        attach_metrics(scope, request)
        response = respond_with(self._error(refusal, scope), scope)
        request.status = response.status_code
        request.finish()
        return RefusalResponse(response.status_code, response.headers, bytes(response.body))

    def _error(self, refusal: Refusal, scope: Scope) -> GatewayError:
        """Return the error of a status; other statuses than those of the server are bugs."""
        if refusal.status != 405:
            return GatewayError(_CODES.get(refusal.status, ErrorCode.INTERNAL), refusal.message)
        allow = self._allowed(scope)
        if not allow:
            return AccessError(AccessCode.ROUTE_NOT_FOUND, "not found")
        return AccessError(AccessCode.METHOD_NOT_ALLOWED, refusal.message, {"Allow": allow})
