"""The catalogue file, read again whenever its content has changed.

The content is compared and not the file: Kubernetes replaces a ConfigMap by turning a link.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import yaml

from sizeup_gateway.models.catalog import parse_catalog
from sizeup_gateway.observability.metrics import Metrics
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
        self._seen: tuple[bytes, str | None] | None = None
        """The content that has been dealt with, and what is wrong with it."""
        self._trouble: str | None = None
        """What is wrong with the file now, and has been said."""
        for outcome in ("ok", "failed"):
            metrics.catalog_reloads.labels(outcome)  # 0 until the first, so that it is an increase

    async def run(self) -> None:
        """Look at the file until cancelled."""
        while True:
            try:
                content = await asyncio.to_thread(self._path.read_bytes)
            except OSError as error:
                self._say(str(error))
            else:
                if self._seen is None or content != self._seen[0]:
                    self._seen = content, self._take(content)
                self._say(self._seen[1])
            await asyncio.sleep(self._poll_seconds)

    def _take(self, content: bytes) -> str | None:
        """Use another content, or return what is wrong with it."""
        try:
            catalog = parse_catalog(content)
            if catalog != self._catalog:
                self._apply(catalog)
                self._metrics.catalog_reloads.labels("ok").inc()
                _log.info("catalog.reloaded", extra={"models": sorted(catalog.models)})
        except (ValueError, yaml.YAMLError) as error:
            return str(error)
        self._catalog = catalog
        return None

    def _say(self, trouble: str | None) -> None:
        """Show whether the file can be used, and say once why it cannot."""
        self._metrics.catalog_refused.set(trouble is not None)
        if trouble is not None and trouble != self._trouble:
            self._metrics.catalog_reloads.labels("failed").inc()
            _log.error("catalog.refused", extra={"file": str(self._path), "error": trouble})
        self._trouble = trouble
