"""The middleware of the gateway, in its order."""

import time
from collections.abc import Collection, Sequence
from functools import partial

from starlette.middleware import Middleware

from sizeup_gateway.middleware.access import (
    ScopeMiddleware,
    check_key,
    origin_middleware,
    origin_regex,
    refuse_host,
)
from sizeup_gateway.middleware.api_keys import ApiKeys
from sizeup_gateway.middleware.clients import RateLimitMiddleware, set_client
from sizeup_gateway.middleware.error_responses import ErrorResponseMiddleware
from sizeup_gateway.middleware.paths import remove_extra_slashes
from sizeup_gateway.page.routes import is_public
from sizeup_gateway.rate_limits import RateLimiter, RateLimits
from sizeup_gateway.settings import Settings
from sizeup_telemetry.hosts import HostMiddleware
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
    check = partial(check_key, keys, lambda scope: scope["path"] in probes or is_public(scope))
    # A changed file of keys may add limits.
    limited = [Middleware(RateLimitMiddleware, limiter=RateLimiter(keys.limits_of, time.monotonic))]
    return [
        Middleware(RequestIdMiddleware),
        Middleware(ScopeMiddleware, call=remove_extra_slashes),
        *traced,
        measured,
        Middleware(ErrorResponseMiddleware),
        *origin_middleware(origin_regex(settings.origins)),
        Middleware(ErrorResponseMiddleware),  # inside CORS: allowed pages may read the error
        Middleware(HostMiddleware, bound_to=settings.host, respond=refuse_host),
        *([Middleware(ScopeMiddleware, call=check)] if keys else []),
        Middleware(ScopeMiddleware, call=set_client),
        *(limited if keys or default_limits(settings).limits_anything else ()),
    ]


def default_limits(settings: Settings) -> RateLimits:
    """Return the limits of a client without its own."""
    return RateLimits(
        settings.requests_per_minute, settings.tokens_per_minute, settings.concurrent_requests
    )
