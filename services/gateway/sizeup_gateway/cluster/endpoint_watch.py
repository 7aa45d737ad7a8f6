"""List and watch the EndpointSlices of the namespace, with resumption and retries."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import aclosing

from sizeup_gateway.cluster.api import Change, ClusterError, SliceEvent, UnreachableError
from sizeup_gateway.cluster.backoff import pause_seconds
from sizeup_gateway.cluster.client import ClusterClient
from sizeup_gateway.cluster.endpoints import Endpoints

_log = logging.getLogger(__name__)


class EndpointWatch:
    """Keeps `endpoints` current; its content stays while the API server is unreachable."""

    def __init__(
        self, cluster: ClusterClient, endpoints: Endpoints, changed: Callable[[], None]
    ) -> None:
        """`changed` is called after every list and every change."""
        self._cluster = cluster
        self._endpoints = endpoints
        self._changed = changed
        self._version: str | None = None
        """Resource version to resume from; None requires a list."""
        self._failures = 0

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
            items, version = await self._cluster.list_slices()
            self._endpoints.replace(items)
            self._version = version
            self._changed()
            _log.info("cluster.listed", extra={"slices": len(items)})
        begun_at = self._version
        async with aclosing(self._cluster.watch_slices(self._version)) as events:
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
            self._endpoints.remove(event.item)
        else:
            self._endpoints.set(event.item)
        self._changed()

    async def _pause(self, error: Exception) -> None:
        self._failures += 1
        seconds = pause_seconds(self._failures, random.random())
        _log.warning(
            "cluster.watch_failed",
            extra={"error": str(error), "failures": self._failures, "retry_in": round(seconds, 3)},
        )
        await asyncio.sleep(seconds)
