"""List and watch the EndpointSlices of the namespace, with resumption and retries."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from sizeup_gateway.cluster.api import Change, ClusterError, SliceEvent, UnreachableError
from sizeup_gateway.cluster.backoff import pause_seconds
from sizeup_gateway.cluster.client import ClusterClient
from sizeup_gateway.cluster.endpoints import Endpoints

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class EndpointWatch:
    """Keeps `endpoints` current; its content stays while the API server is unreachable."""

    cluster: ClusterClient
    endpoints: Endpoints
    changed: Callable[[], None]
    """Called after every list and every change."""
    _version: str | None = None
    """Resource version to resume from; None requires a list."""
    _failures: int = 0

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                await self._list_and_watch()
            except UnreachableError as error:
                await self._pause(error)
            except (ClusterError, ValueError) as error:
                self._version = None  # usually expired (410 Gone): list again
                await self._pause(error)

    async def _list_and_watch(self) -> None:
        """List if there is no version to resume from, then watch until the watch ends."""
        if self._version is None:
            items, version = await self.cluster.list_slices()
            self.endpoints.replace(items)
            self._version = version
            self.changed()
            _log.info("cluster.listed", extra={"slices": len(items)})
        begun_at = self._version
        async with aclosing(self.cluster.watch_slices(self._version)) as events:
            async for event in events:
                self._failures = 0
                self._apply(event)
        self._failures = 0
        if self._version == begun_at:
            # A watch that ends at once without an event must not turn into a busy loop.
            await asyncio.sleep(pause_seconds(1, random.random()))

    def _apply(self, event: SliceEvent) -> None:
        self._version = event.version
        if event.change is Change.BOOKMARK:
            return
        if event.change is Change.DELETED:
            self.endpoints.remove(event.item)
        else:
            self.endpoints.set(event.item)
        self.changed()

    async def _pause(self, error: Exception) -> None:
        self._failures += 1
        seconds = pause_seconds(self._failures, random.random())
        _log.warning(
            "cluster.watch_failed",
            extra={"error": str(error), "failures": self._failures, "retry_in": round(seconds, 3)},
        )
        await asyncio.sleep(seconds)
