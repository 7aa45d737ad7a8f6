"""A file that is read again when its content changes.

The content is compared, not the mtime: Kubernetes updates a volume by moving a symlink.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yaml import YAMLError


@dataclass(slots=True)
class WatchedFile:
    """Applies new content; an invalid file changes nothing."""

    path: Path
    poll_seconds: float
    apply: Callable[[bytes], None]
    """Raises ValueError or YAMLError."""
    set_invalid: Callable[[float], None]
    """Sets the metric that is 1 while the file is invalid."""
    note: Callable[[str], None]
    """Called once for each error."""
    _seen: bytes | None = None
    _fault: str | None = None
    """The error in that content."""
    _error: str | None = None
    """The present error, which has been noted."""

    def load(self) -> None:
        """Apply the present content; raise OSError, ValueError or YAMLError."""
        self._seen = self.path.read_bytes()
        self.apply(self._seen)

    async def run(self) -> None:
        """Poll the file until cancelled."""
        while True:
            try:
                content = await asyncio.to_thread(self.path.read_bytes)
                if content != self._seen:
                    self._seen, self._fault = content, None
                    self.apply(content)
                error = self._fault
            except OSError as caught:
                error = str(caught)
            except (ValueError, YAMLError) as caught:
                error = self._fault = str(caught)
            self._report(error)
            await asyncio.sleep(self.poll_seconds)

    def _report(self, error: str | None) -> None:
        self.set_invalid(error is not None)
        if error is not None and error != self._error:
            self.note(error)
        self._error = error
