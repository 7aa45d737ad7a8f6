"""A file that is read again when its content changes.

The content is compared, not the mtime: Kubernetes updates a volume by moving a symlink.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from yaml import YAMLError


class WatchedFile:
    """Applies new content; an invalid file changes nothing."""

    def __init__(
        self,
        path: Path,
        poll_seconds: float,
        apply: Callable[[bytes], None],
        set_invalid: Callable[[float], None],
        note: Callable[[str], None],
    ) -> None:
        """`apply` raises ValueError or YAMLError; `note` is called once for each error.

        `set_invalid` sets the metric that is 1 while the file is invalid.
        """
        self._path = path
        self._poll_seconds = poll_seconds
        self._apply = apply
        self._set_invalid = set_invalid
        self._note = note
        self._seen: bytes | None = None
        self._fault: str | None = None
        """The error in that content."""
        self._error: str | None = None
        """The present error, which has been noted."""

    def load(self) -> None:
        """Apply the present content; raise OSError, ValueError or YAMLError."""
        self._seen = self._path.read_bytes()
        self._apply(self._seen)

    async def run(self) -> None:
        """Poll the file until cancelled."""
        while True:
            try:
                content = await asyncio.to_thread(self._path.read_bytes)
            except OSError as error:
                self._report(str(error))
            else:
                if content != self._seen:
                    self._seen, self._fault = content, self._fault_of(content)
                self._report(self._fault)
            await asyncio.sleep(self._poll_seconds)

    def _fault_of(self, content: bytes) -> str | None:
        try:
            self._apply(content)
        except (ValueError, YAMLError) as error:
            return str(error)
        return None

    def _report(self, error: str | None) -> None:
        self._set_invalid(error is not None)
        if error is not None and error != self._error:
            self._note(error)
        self._error = error
