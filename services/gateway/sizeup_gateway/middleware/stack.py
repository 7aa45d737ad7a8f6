"""The middleware of the gateway, in its order."""

import time
from collections.abc import Collection, Sequence

from starlette.middleware import Middleware

from sizeup_gateway.middleware.access import (
    host_middleware,
    key_middleware,
    origin_middleware,
    origin_regex,
)
from sizeup_gateway.middleware.api_keys import ApiKeys
from sizeup_gateway.middleware.clients import ClientMiddleware, RateLimitMiddleware
from sizeup_gateway.middleware.error_responses import ErrorResponseMiddleware
from sizeup_gateway.middleware.paths import PathMiddleware
from sizeup_gateway.page.routes import is_public
from sizeup_gateway.rate_limits import RateLimiter, RateLimits
from sizeup_gateway.settings import Settings
from sizeup_telemetry.request_id import RequestIdMiddleware


def middleware_stack(
    settings: Settings,
    keys: ApiKeys,
    measured: Middleware,
    probes: Collection[str],
    traced: Sequence[Middleware],
) -> list[Middleware]:
    """Return the middleware, the outermost first.

    `measured` measures requests, `traced` traces them if that is enabled; `probes` are paths that
    need no API key.
    """
    return [
        Middleware(RequestIdMiddleware),
        Middleware(PathMiddleware),
        *traced,
        measured,
        Middleware(ErrorResponseMiddleware),
        *origin_middleware(origin_regex(settings.origins)),
        Middleware(ErrorResponseMiddleware),  # inside CORS: allowed pages may read the error
        *host_middleware(settings.host),
        *key_middleware(keys, lambda scope: scope["path"] in probes or is_public(scope)),
        Middleware(ClientMiddleware),
        *_rate_limit_middleware(default_limits(settings), keys),
    ]


def default_limits(settings: Settings) -> RateLimits:
    """Return the limits of a client without its own."""
    return RateLimits(
        settings.requests_per_minute, settings.tokens_per_minute, settings.concurrent_requests
    )


def _rate_limit_middleware(default: RateLimits, keys: ApiKeys) -> list[Middleware]:
    """A changed file of keys may add limits."""
    if not (keys or default.limits_anything):
        return []
    return [Middleware(RateLimitMiddleware, limiter=RateLimiter(keys.limits_of, time.monotonic))]
