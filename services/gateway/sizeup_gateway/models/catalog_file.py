"""The catalog file, reloaded when its content changes.

The content is compared, not the mtime: Kubernetes updates a ConfigMap volume by moving a symlink.
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
    """Applies changes of the catalog file; an invalid file changes nothing."""

    def __init__(
        self,
        path: Path,
        catalog: Catalog,
        apply: Callable[[Catalog], None],
        metrics: Metrics,
        poll_seconds: float,
    ) -> None:
        """`catalog` is the one in use; `apply` raises ValueError if it rejects a new one."""
        self._path = path
        self._catalog = catalog
        self._apply = apply
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._seen: tuple[bytes, str | None] | None = None
        """The last content, and the error in it."""
        self._error: str | None = None
        """The present error, which has been logged."""
        for outcome in ("ok", "failed"):
            metrics.catalog_reloads.labels(outcome)  # start at 0, so that the first is an increase

    async def run(self) -> None:
        """Poll the file until cancelled."""
        while True:
            try:
                content = await asyncio.to_thread(self._path.read_bytes)
            except OSError as error:
                self._report(str(error))
            else:
                if self._seen is None or content != self._seen[0]:
                    self._seen = content, self._apply_content(content)
                self._report(self._seen[1])
            await asyncio.sleep(self._poll_seconds)

    def _apply_content(self, content: bytes) -> str | None:
        """Apply new content, or return the error in it."""
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

    def _report(self, error: str | None) -> None:
        """Update the metrics; log each error once."""
        self._metrics.catalog_invalid.set(error is not None)
        if error is not None and error != self._error:
            self._metrics.catalog_reloads.labels("failed").inc()
            _log.error("catalog.invalid", extra={"file": str(self._path), "error": error})
        self._error = error
