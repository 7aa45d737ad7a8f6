"""The client of a request, and the limits that apply to it. Pure ASGI: never buffers."""

import math
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sizeup_gateway import client_identity
from sizeup_gateway.errors import AccessCode, AccessError
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.rate_limits import Exceeded, RateLimitedError, RateLimiter

_CODES: Mapping[Exceeded, AccessCode] = {
    Exceeded.REQUESTS: AccessCode.REQUEST_LIMIT,
    Exceeded.TOKENS: AccessCode.TOKEN_LIMIT,
    Exceeded.CONCURRENT_REQUESTS: AccessCode.REQUEST_LIMIT,
}


class ClientMiddleware:
    """Sets the client of the request; inside of the API keys, which identify it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = client_identity.current.set(client_identity.client_of(scope))
        try:
            await self._app(scope, receive, send)
        finally:
            client_identity.current.reset(token)


class RateLimitMiddleware:
    """Limits the POST requests of each client; GET requests compute nothing."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises AccessError."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        name, metrics = client_identity.current.get(), metrics_of(scope)
        try:
            with self._limiter.request(name, lambda: metrics.tokens) as client:

                async def send_with_limits(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        MutableHeaders(scope=message).update(dict(self._limiter.headers(client)))
                    await send(message)

                await self._app(scope, receive, send_with_limits)
        except RateLimitedError as error:
            raise self._refusal(name, error) from None

    def _refusal(self, name: str, error: RateLimitedError) -> AccessError:
        headers = dict(self._limiter.headers(self._limiter.client(name)))
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_seconds)))
        return AccessError(_CODES[error.exceeded], str(error), headers)
