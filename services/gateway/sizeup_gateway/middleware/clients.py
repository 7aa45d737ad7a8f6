"""The client of a request, and the limits that apply to it. Pure ASGI: never buffers."""

import math

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sizeup_gateway import client_identity
from sizeup_gateway.errors import AccessCode, AccessError
from sizeup_gateway.observability.request_metrics import metrics_of
from sizeup_gateway.rate_limits import Exceeded, RateLimitedError, RateLimiter, Use


def set_client(scope: Scope) -> None:
    """Set the client of the request; inside of the API keys, which identify it."""
    client_identity.current.set(client_identity.client_of(scope))


class RateLimitMiddleware:
    """Limits the POST requests of each client; GET requests compute nothing."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises AccessError."""
        client = client_identity.current.get()
        is_request = scope["type"] == "http" and scope["method"] == "POST"
        if not is_request or not self._limiter.has_limits(client):
            await self._app(scope, receive, send)
            return
        metrics = metrics_of(scope)
        try:
            use = self._limiter.begin(client, lambda: metrics.tokens)
        except RateLimitedError as error:
            raise self._refusal(client, metrics.api_key_name, error) from None
        try:
            await self._app(scope, receive, _counting(send, use))
        finally:
            use.end()

    def _refusal(self, client: str, name: str | None, error: RateLimitedError) -> AccessError:
        headers = dict(self._limiter.headers(client))
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_seconds)))
        message = str(error) if name is None else f"{error} by the API keys named {name}"
        is_tokens = error.exceeded is Exceeded.TOKENS
        code = AccessCode.TOKEN_LIMIT if is_tokens else AccessCode.REQUEST_LIMIT
        return AccessError(code, message, headers=headers)


def _counting(send: Send, use: Use) -> Send:
    """Count before each message is sent: a client that has read the last one may send the next."""

    async def send_and_count(message: Message) -> None:
        use.count()
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(dict(use.headers()))
        elif not message.get("more_body"):
            use.end()
        await send(message)

    return send_and_count
