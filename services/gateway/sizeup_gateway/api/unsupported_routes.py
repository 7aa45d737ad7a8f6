"""Routes of both APIs that are not supported: 501 with a reason instead of a bare 404."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.documentation import ACCESS, errors, operation
from sizeup_gateway.api.error_schemas import OllamaErrorResponse, OpenAIErrorResponse
from sizeup_gateway.errors import AccessCode, AccessError, is_openai_path
from sizeup_telemetry.api_docs import direct_router

_FIXED = "the models are configured by the operator of this server and cannot be changed here"
_EMBEDDINGS = "embeddings are not supported by this server"

_ROUTES: Sequence[tuple[str, str, str]] = (
    ("POST", "/api/pull", _FIXED),
    ("POST", "/api/push", _FIXED),
    ("POST", "/api/create", _FIXED),
    ("POST", "/api/copy", _FIXED),
    ("DELETE", "/api/delete", _FIXED),
    ("POST", "/api/embed", _EMBEDDINGS),
    ("POST", "/api/embeddings", _EMBEDDINGS),
    ("POST", "/v1/embeddings", _EMBEDDINGS),
)


def unsupported_router() -> APIRouter:
    """Create the routes; each raises AccessError."""
    router = direct_router("Unsupported")
    for method, path, reason in _ROUTES:
        error = OpenAIErrorResponse if is_openai_path(path) else OllamaErrorResponse
        router.add_api_route(
            path,
            _not_implemented(f"{path}: {reason}"),
            methods=[method],
            status_code=501,
            **operation(f"Not supported: {reason}", None, errors(error, *ACCESS, 501)),
        )
    return router


def _not_implemented(message: str) -> Callable[[Request], Awaitable[Response]]:
    async def not_implemented(_request: Request) -> Response:
        raise AccessError(AccessCode.NOT_IMPLEMENTED, message)

    return not_implemented
