"""Follow the EndpointSlices of the namespace: list, watch, resume, and never give up."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import aclosing

from sizeup_gateway.cluster.api import (
    Change,
    ClusterError,
    SliceEvent,
    SliceSource,
    UnreachableError,
)
from sizeup_gateway.cluster.backoff import pause_seconds
from sizeup_gateway.cluster.endpoints import Endpoints

_log = logging.getLogger(__name__)


class EndpointWatch:
    """Keep what is known of the endpoints; it stays while the API server is away."""

    def __init__(
        self, source: SliceSource, endpoints: Endpoints, changed: Callable[[], None]
    ) -> None:
        """Call `changed` after every list and every change."""
        self._source = source
        self._endpoints = endpoints
        self._changed = changed
        self._version: str | None = None
        """Where to resume; None asks for a list."""
        self._failures = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._follow()
            except UnreachableError as error:
                await self._pause(error)
            except (ClusterError, ValueError) as error:
                self._version = None  # too old, as a rule: only a list can help
                await self._pause(error)

    async def _follow(self) -> None:
        """List when there is nothing to resume from, then watch until the watch ends."""
        if self._version is None:
            found = await self._source.list_slices()
            self._endpoints.replace(found.items)
            self._version = found.version
            self._changed()
            _log.info("cluster.listed", extra={"slices": len(found.items)})
        begun_at = self._version
        async with aclosing(self._source.watch_slices(self._version)) as events:
            async for event in events:
                self._failures = 0
                self._take(event)
        self._failures = 0
        if self._version == begun_at:
            # A watch that ends at once and without news must not be asked for in a loop.
            await asyncio.sleep(pause_seconds(1, random.random()))

    def _take(self, event: SliceEvent) -> None:
        self._version = event.version
        if event.change is Change.BOOKMARK:
            return
        if event.change is Change.DELETED:
            self._endpoints.remove(event.item)
        else:
            self._endpoints.set(event.item)
        self._changed()

    async def _pause(self, error: Exception) -> None:
        self._failures += 1
        seconds = pause_seconds(self._failures, random.random())
        _log.warning(
            "cluster.watch_failed",
            extra={"error": str(error), "failures": self._failures, "again_in": round(seconds, 3)},
        )
        await asyncio.sleep(seconds)
