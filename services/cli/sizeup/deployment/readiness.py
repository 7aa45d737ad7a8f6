"""Poll the /readyz of the child processes: the gateway and inference."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from pydantic import ValidationError

from sizeup.errors import ChildFailedError
from sizeup_wire import routes
from sizeup_wire.model import ModelInfo

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
"""A process that is loading may respond late; later than this counts as no response."""
_POLL_SECONDS = 0.2
"""Smooth enough for a progress bar, at no measurable cost."""

_WATCH_SECONDS = 5.0
"""Of a ready process: routing around a failed one is the gateway's task."""

_ROUTED_SECONDS = 15.0
"""Several probe intervals of the gateway."""


@dataclass(frozen=True, slots=True)
class Progress:
    ready: bool
    stage: str = "starting"
    fraction: float = 0.0
    """0 to 1."""


Probe = Callable[[], Awaitable[Progress]]
"""Returns in bounded time, and does not raise for a process that does not respond."""


async def probe(session: aiohttp.ClientSession, base_url: str) -> Progress:
    """Request /readyz once; without a response the process is starting."""
    try:
        async with session.get(base_url + routes.READYZ, timeout=_TIMEOUT) as response:
            body = await response.read()
            return _read(response.status, body)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return Progress(ready=False)


def _read(status: int, body: bytes) -> Progress:
    if status == HTTPStatus.OK:
        return Progress(ready=True, stage="ready", fraction=1.0)
    try:
        state = json.loads(body)
        return Progress(
            ready=False,
            stage=str(state.get("stage") or state.get("state") or "starting"),
            fraction=min(1.0, max(0.0, float(state.get("progress") or 0.0))),
        )
    except (ValueError, TypeError, AttributeError):
        return Progress(ready=False)


async def until_ready(probe_once: Probe, report: Callable[[Progress], None]) -> None:
    """Poll until ready, and report every change; the caller cancels it when the process exits."""
    before: Progress | None = None
    while True:
        now = await probe_once()
        if now != before:
            report(now)
            before = now
        if now.ready:
            return
        await asyncio.sleep(_POLL_SECONDS)


async def until_hung(probe_once: Probe, hung_seconds: float) -> None:
    """Return when a child that was ready has not been for this long; runs until cancelled."""
    last_ready = time.monotonic()
    while True:
        if (await probe_once()).ready:
            last_ready = time.monotonic()
        elif time.monotonic() - last_ready >= hung_seconds:
            return
        await asyncio.sleep(min(_WATCH_SECONDS, hung_seconds))


async def until_routed(
    session: aiohttp.ClientSession, gateway_url: str, loaded: Callable[[], Iterable[str]]
) -> None:
    """Wait until the gateway has a ready replica of every loaded model; it probes once a second.

    `loaded` returns their keys. Raises ChildFailedError after a timeout.
    """
    try:
        async with asyncio.timeout(_ROUTED_SECONDS):
            while True:
                if await _is_routed(session, gateway_url, loaded()):
                    return
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as error:
        raise ChildFailedError(f"{gateway_url} has no ready replica of some model") from error


async def _is_routed(
    session: aiohttp.ClientSession, gateway_url: str, loaded: Iterable[str]
) -> bool:
    try:
        async with session.get(gateway_url + "/health", timeout=_TIMEOUT) as response:
            replicas = (await response.json())["replicas_ready"]
            return all(replicas[key] > 0 for key in loaded)
    except (aiohttp.ClientError, ValueError, KeyError, TypeError, AttributeError):
        return False


async def model_info(session: aiohttp.ClientSession, base_url: str) -> ModelInfo:
    try:
        async with session.get(base_url + routes.MODEL, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            return ModelInfo.model_validate_json(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
        raise ChildFailedError(f"{base_url} returned no model information: {error}") from error
