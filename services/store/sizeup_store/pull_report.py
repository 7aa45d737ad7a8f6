"""The progress of a pull, counted once for every display of it."""

from collections.abc import Callable
from dataclasses import dataclass


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


class PullReport:
    """Receives the events of a pull, counts, and calls the watchers after each change."""

    def __init__(self) -> None:
        self.progress = PullProgress()
        self.watchers: list[Callable[[PullProgress], None]] = []

    def note(self, line: str) -> None:
        """A message for the user."""

    def plan(self, files: int, size: int) -> None:
        """The number of files and bytes of the complete model is known."""
        self.progress.files, self.progress.size = files, size
        self._changed()

    def file(self, name: str, size: int) -> None:
        """The download of a file of this many bytes starts."""
        self.progress.name, self.progress.partial = name, 0
        self._changed()

    def resumed(self, size: int) -> None:
        """Bytes of the current file are from an earlier pull; negative: they are discarded."""
        self.progress.partial += size
        self._changed()

    def received(self, size: int) -> None:
        """Bytes of the current file were received from the hub."""
        self.progress.partial += size
        self.progress.received += size
        self._changed()

    def verified(self, size: int) -> None:
        """One more file of this many bytes is complete."""
        self.progress.files_verified += 1
        self.progress.size_verified += size
        self.progress.partial = 0
        self._changed()

    def retry(self, reason: str) -> None:
        """A failure is retried."""
        self.progress.retries += 1
        self._changed()

    def _changed(self) -> None:
        for watcher in self.watchers:
            watcher(self.progress)
