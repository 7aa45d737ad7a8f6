"""The catalog file, reloaded when its content changes."""

import logging
from collections.abc import Callable
from pathlib import Path

from sizeup_gateway.models.catalog import Models, parse_catalog
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.watched_file import WatchedFile
from sizeup_wire.catalog import Catalog

_log = logging.getLogger(__name__)


def catalog_file(
    path: Path,
    models: Models,
    apply: Callable[[Catalog], None],
    metrics: Metrics,
    poll_seconds: float,
) -> WatchedFile:
    """Return the file of the catalog; `apply` makes it that of `models`, or raises ValueError."""
    for outcome in ("ok", "failed"):
        metrics.catalog_reloads.labels(outcome)  # start at 0, so that the first is an increase

    def apply_content(content: bytes) -> None:
        catalog = parse_catalog(content)
        if catalog != models.catalog:
            apply(catalog)
            metrics.catalog_reloads.labels("ok").inc()
            _log.info("catalog.reloaded", extra={"models": sorted(catalog.models)})

    def note(error: str) -> None:
        metrics.catalog_reloads.labels("failed").inc()
        _log.error("catalog.invalid", extra={"file": str(path), "error": error})

    return WatchedFile(path, poll_seconds, apply_content, metrics.catalog_invalid.set, note)
