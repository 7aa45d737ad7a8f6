"""Routes of both APIs that are not supported: an error with a reason instead of a bare 404."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sizeup_gateway.api.documentation import (
    ACCESS,
    Dialect,
    OllamaErrorResponse,
    OpenAIErrorResponse,
)
from sizeup_gateway.errors import AccessCode, AccessError, http_form, is_openai_path
from sizeup_telemetry.api_docs import direct_router

_NO_FILES = "the weights are those of the models of this server; create a model with from"
_NO_REGISTRY = "this server has no registry"
_NOT_STORED = "completions are not stored by this server"
_NO_ACCOUNTS = "this server has no accounts of ollama.com"
_NOT_HERE = "this is not supported by this server"

_NOT_IMPLEMENTED: Sequence[tuple[str, str, str]] = (
    ("POST", "/api/push", _NO_REGISTRY),
    ("POST", "/api/blobs/{digest}", _NO_FILES),
    ("GET", "/v1/chat/completions", _NOT_STORED),
    ("GET", "/v1/chat/completions/{id}", _NOT_STORED),
    ("POST", "/v1/chat/completions/{id}", _NOT_STORED),
    ("DELETE", "/v1/chat/completions/{id}", _NOT_STORED),
    ("GET", "/v1/chat/completions/{id}/messages", _NOT_STORED),
)
_NOT_FOUND: Sequence[tuple[str, str, str]] = (
    ("POST", "/api/me", _NO_ACCOUNTS),
    ("POST", "/api/signout", _NO_ACCOUNTS),
    ("DELETE", "/api/user/keys/{key}", _NO_ACCOUNTS),
    ("GET", "/api/status", _NOT_HERE),
    ("GET", "/api/experimental/{path:path}", _NOT_HERE),
    ("POST", "/api/experimental/{path:path}", _NOT_HERE),
)
"""404 is what the `ollama` CLI takes for an older server, and goes on."""


def unsupported_router() -> APIRouter:
    """Create the routes; each raises AccessError."""
    router = direct_router("Unsupported")
    for code, routes in (
        (AccessCode.NOT_IMPLEMENTED, _NOT_IMPLEMENTED),
        (AccessCode.ROUTE_NOT_FOUND, _NOT_FOUND),
    ):
        status = http_form(code).status
        for method, path, reason in routes:
            error = OpenAIErrorResponse if is_openai_path(path) else OllamaErrorResponse
            router.add_api_route(
                path,
                _refuse(code, f"{path}: {reason}"),
                methods=[method],
                status_code=status,
                **Dialect(error).operation(f"Not supported: {reason}", None, (*ACCESS, status)),
            )
    return router


def _refuse(code: AccessCode, message: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(_request: Request) -> Response:
        raise AccessError(code, message)

    return refuse
