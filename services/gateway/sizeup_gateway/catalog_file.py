"""The catalogue file, read again whenever its content has changed.

The content is compared and not the file: Kubernetes replaces a ConfigMap by turning a link.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import yaml

from sizeup_gateway.catalog import parse_catalog
from sizeup_gateway.metrics import Metrics
from sizeup_wire.catalog import Catalog

_log = logging.getLogger(__name__)


class CatalogFile:
    """Notice a new catalogue; one that cannot be used changes nothing."""

    def __init__(
        self,
        path: Path,
        catalog: Catalog,
        apply: Callable[[Catalog], None],
        metrics: Metrics,
        poll_seconds: float,
    ) -> None:
        """Know what is in use; `apply` raises ValueError when it cannot use another."""
        self._path = path
        self._catalog = catalog
        self._apply = apply
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._seen: bytes | None = None
        """The content that has been dealt with."""
        self._trouble: str | None = None
        """What is wrong with the file now, and has been said."""

    async def run(self) -> None:
        """Look at the file until cancelled."""
        while True:
            try:
                content = await asyncio.to_thread(self._path.read_bytes)
            except OSError as error:
                self._refuse(error)
            else:
                self._take(content)
            await asyncio.sleep(self._poll_seconds)

    def _take(self, content: bytes) -> None:
        if content == self._seen:
            return
        try:
            catalog = parse_catalog(content)
            if catalog != self._catalog:
                self._apply(catalog)
                self._metrics.catalog_reloads.labels("ok").inc()
                _log.info("catalog.reloaded", extra={"models": sorted(catalog.models)})
        except (ValueError, yaml.YAMLError) as error:
            self._refuse(error)
        else:
            self._catalog, self._trouble = catalog, None
        self._seen = content

    def _refuse(self, error: Exception) -> None:
        """Say once that the file cannot be used."""
        if str(error) == self._trouble:
            return
        self._trouble = str(error)
        self._metrics.catalog_reloads.labels("failed").inc()
        _log.error("catalog.refused", extra={"file": str(self._path), "error": str(error)})
