"""The progress of a pull, counted once for every display of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class PullReport(Protocol):
    """Receives the events of a pull."""

    def note(self, line: str) -> None:
        """Show a line that stays."""

    def plan(self, files: int, size: int) -> None:
        """Set the number of files and bytes of the complete model."""

    def file(self, name: str, size: int) -> None:
        """Start the download of a file of this many bytes."""

    def resumed(self, size: int) -> None:
        """Count bytes of the current file from an earlier pull; negative: discarded bytes."""

    def received(self, size: int) -> None:
        """Count bytes of the current file received from the hub."""

    def verified(self, size: int) -> None:
        """Count one more complete file of this many bytes."""

    def retry(self, reason: str) -> None:
        """Count a failure that is retried."""


@dataclass(slots=True)
class PullProgress:
    """The counters of one pull; sizes in bytes."""

    files: int = 0
    size: int = 0
    files_verified: int = 0
    size_verified: int = 0
    name: str = ""
    """Of the current file."""
    partial: int = 0
    """Downloaded bytes of the current file."""
    received: int = 0
    """Everything the hub sent, discarded bytes included."""
    retries: int = 0

    @property
    def started(self) -> bool:
        """Whether there was a first file; before it another pull of the model may hold the lock."""
        return bool(self.name or self.files_verified)

    @property
    def downloaded(self) -> int:
        """Bytes on disk, verified or partial."""
        return self.size_verified + self.partial

    @property
    def fraction(self) -> float:
        """0 to 1."""
        return min(1.0, self.downloaded / self.size) if self.size else 0.0


class CountingReport:
    """Count, and call the watchers after each change."""

    def __init__(self) -> None:
        self.progress = PullProgress()
        self.watchers: list[Callable[[PullProgress], None]] = []

    def note(self, line: str) -> None:
        """Ignore lines: nothing to count."""

    def plan(self, files: int, size: int) -> None:
        self.progress.files, self.progress.size = files, size
        self._changed()

    def file(self, name: str, size: int) -> None:
        self.progress.name, self.progress.partial = name, 0
        self._changed()

    def resumed(self, size: int) -> None:
        self.progress.partial += size
        self._changed()

    def received(self, size: int) -> None:
        self.progress.partial += size
        self.progress.received += size
        self._changed()

    def verified(self, size: int) -> None:
        self.progress.files_verified += 1
        self.progress.size_verified += size
        self.progress.partial = 0
        self._changed()

    def retry(self, reason: str) -> None:
        self.progress.retries += 1
        self._changed()

    def _changed(self) -> None:
        for watcher in self.watchers:
            watcher(self.progress)
