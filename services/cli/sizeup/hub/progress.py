"""How far a pull is, counted once for everything that shows it."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sizeup_store.progress import BEAT_SECONDS, DownloadState, write_progress


class PullReport(Protocol):
    """Is told what a pull does."""

    def note(self, line: str) -> None:
        """Take a line that stays."""

    def plan(self, files: int, size: int) -> None:
        """Learn how many files and bytes the whole model has."""

    def file(self, name: str, size: int) -> None:
        """See that the download of a file of so many bytes begins."""

    def resumed(self, size: int) -> None:
        """Count bytes of the present file that an earlier pull left; below 0: thrown away."""

    def received(self, size: int) -> None:
        """Count bytes of the present file that came from the hub."""

    def kept(self, size: int) -> None:
        """See that one more file of so many bytes is here, whole and verified."""

    def retry(self, reason: str) -> None:
        """See that something failed which is tried again."""


@dataclass(slots=True)
class PullProgress:
    """The numbers of one pull; sizes in bytes."""

    files: int = 0
    size: int = 0
    files_kept: int = 0
    size_kept: int = 0
    name: str = ""
    """The file that is downloaded now."""
    partial: int = 0
    """What is here of that file."""
    received: int = 0
    """What came from the hub, thrown away or not."""
    retries: int = 0

    @property
    def begun(self) -> bool:
        """Whether there was a first file; until then another pull of the model may be at work."""
        return bool(self.name or self.files_kept)

    @property
    def here(self) -> int:
        """What is here, verified or on its way."""
        return self.size_kept + self.partial

    @property
    def share(self) -> float:
        """What is here as a share of the whole, 0 to 1."""
        return min(1.0, self.here / self.size) if self.size else 0.0


class CountingReport:
    """Count, and tell whoever watches that a number has changed."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.progress = PullProgress()
        self.watchers: list[Callable[[PullProgress], None]] = []

    def note(self, line: str) -> None:
        """Say nothing: a line is no number."""

    def plan(self, files: int, size: int) -> None:
        """Learn the whole."""
        self.progress.files, self.progress.size = files, size
        self._changed()

    def file(self, name: str, size: int) -> None:
        """Begin a file."""
        self.progress.name, self.progress.partial = name, 0
        self._changed()

    def resumed(self, size: int) -> None:
        """Count what was here."""
        self.progress.partial += size
        self._changed()

    def received(self, size: int) -> None:
        """Count what came."""
        self.progress.partial += size
        self.progress.received += size
        self._changed()

    def kept(self, size: int) -> None:
        """Count a whole file, in the place of its parts."""
        self.progress.files_kept += 1
        self.progress.size_kept += size
        self.progress.partial = 0
        self._changed()

    def retry(self, reason: str) -> None:
        """Count a failure."""
        self.progress.retries += 1
        self._changed()

    def _changed(self) -> None:
        for watcher in self.watchers:
            watcher(self.progress)


class Pace:
    """Let something through at most once in so many seconds. Pure: the clock is an argument."""

    def __init__(self, seconds: float) -> None:
        """Let the first through."""
        self._seconds = seconds
        self._last: float | None = None

    def is_due(self, now: float) -> bool:
        """Tell whether it is time again, and if so, take this as the time."""
        if self._last is not None and now - self._last < self._seconds:
            return False
        self._last = now
        return True


class ProgressFile:
    """The progress beside the model, for who waits for it: see sizeup_store.progress.

    A file that cannot be written is let go: the pull itself says what is wrong with the disk.
    """

    def __init__(self, path: Path, clock: Callable[[], float], seconds: float = 2.0) -> None:
        """Write at most once in so many seconds: whoever waits looks once a second."""
        self._path = path
        self._clock = clock
        self._pace = Pace(seconds)
        self._beats = itertools.count(1)

    def write(self, progress: PullProgress) -> None:
        """Say how far the download is."""
        if self._pace.is_due(self._clock()):
            self._downloading(progress)

    @contextlib.contextmanager
    def beating(self, progress: PullProgress, seconds: float = BEAT_SECONDS) -> Iterator[None]:
        """Say it now and every so many seconds of the block, also while no number changes.

        In a thread of its own, since a slow disk may hold up the event loop. Not before the first
        file: until then this pull may wait for another one of the model, which has the word.
        """
        over = threading.Event()

        def beat() -> None:
            while not over.wait(seconds):
                if progress.begun:
                    self._downloading(progress)

        self._downloading(progress)
        thread = threading.Thread(target=beat, name="beats", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _downloading(self, progress: PullProgress) -> None:
        message = f"downloading {progress.name}".rstrip()
        beat = next(self._beats) if progress.begun else 0
        self._write(DownloadState("downloading", progress.share, message, beat))

    def fail(self, progress: PullProgress, message: str) -> None:
        """Say why the download has ended."""
        self._write(DownloadState("failed", progress.share, message))

    def remove(self) -> None:
        """Leave it to the marker to say that the model is complete."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self, state: DownloadState) -> None:
        with contextlib.suppress(OSError):
            write_progress(self._path, state)
