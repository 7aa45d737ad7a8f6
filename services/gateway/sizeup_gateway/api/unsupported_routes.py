"""Routes of both APIs that are not served: refused by name, so that a client's log says why."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sizeup_gateway.errors import AccessCode, AccessError

_FIXED = "models are decided by who runs this server, and cannot be changed over this API"
_EMBEDDINGS = "embeddings are not supported by this server"
_CHAT_INSTEAD = "this API is not supported by this server; use /v1/chat/completions"

_REASONS: Mapping[tuple[str, str], str] = {
    ("POST", "/api/pull"): _FIXED,
    ("POST", "/api/push"): _FIXED,
    ("POST", "/api/create"): _FIXED,
    ("POST", "/api/copy"): _FIXED,
    ("DELETE", "/api/delete"): _FIXED,
    ("POST", "/api/embed"): _EMBEDDINGS,
    ("POST", "/api/embeddings"): _EMBEDDINGS,
    ("POST", "/v1/embeddings"): _EMBEDDINGS,
    ("POST", "/v1/responses"): _CHAT_INSTEAD,
    ("POST", "/v1/messages"): _CHAT_INSTEAD,
}

PATHS = frozenset(path for _, path in _REASONS)


def unserved_routes() -> list[Route]:
    """List the routes; each answers 501."""
    return [
        Route(path, _refusing(f"{path}: {reason}"), methods=[method])
        for (method, path), reason in _REASONS.items()
    ]


def _refusing(message: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse(_request: Request) -> Response:
        raise AccessError(AccessCode.NOT_IMPLEMENTED, message)

    return refuse
