"""The file of API keys, read again when its content changes.

The content is compared, not the mtime: Kubernetes updates a Secret volume by moving a symlink.
"""

import asyncio
import logging
from pathlib import Path

from sizeup_gateway.middleware.api_keys import ApiKeys, keys_in
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.rate_limits import RateLimits
from sizeup_telemetry.secret_files import log_exposure

_log = logging.getLogger(__name__)


class KeysFile:
    """Replaces the accepted keys; an invalid or empty file changes nothing."""

    def __init__(
        self, path: Path, keys: ApiKeys, default: RateLimits, metrics: Metrics, poll_seconds: float
    ) -> None:
        self._path = path
        self._keys = keys
        self._default = default
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._seen: bytes | None = None
        self._error: str | None = None

    async def run(self) -> None:
        """Poll the file until cancelled."""
        while True:
            try:
                content = await asyncio.to_thread(self._path.read_bytes)
                if content != self._seen:
                    self._apply(content)
                error = None
            except (OSError, ValueError) as caught:
                error = str(caught)
            self._report(error)
            await asyncio.sleep(self._poll_seconds)

    def _apply(self, content: bytes) -> None:
        """Accept the keys of new content; raise ValueError."""
        found = keys_in(self._path, content, self._default)
        self._keys.replace(found)
        if self._seen is not None:
            _log.info("api_keys.reloaded", extra={"keys": len(found)})
            log_exposure(self._path)
        self._seen = content

    def _report(self, error: str | None) -> None:
        """Update the metric; log each error once."""
        self._metrics.api_keys_invalid.set(error is not None)
        if error is not None and error != self._error:
            _log.error("api_keys.invalid", extra={"error": error})
        self._error = error
