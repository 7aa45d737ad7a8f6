"""Keep the progress of a pull in a file beside the model, for pods that wait for it."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from sizeup.pull.throttle import Throttle
from sizeup_store.progress import BEAT_SECONDS, DownloadState, write_progress
from sizeup_store.pull_report import PullProgress


class ProgressFile:
    """The writing side of sizeup_store.progress.

    Errors of writing are ignored: the pull itself reports what is wrong with the disk.
    """

    def __init__(self, path: Path, clock: Callable[[], float], seconds: float = 2.0) -> None:
        """Write at most once in so many seconds: readers poll once a second."""
        self._path = path
        self._clock = clock
        self._throttle = Throttle(seconds)
        self._beats = itertools.count(1)

    def write(self, progress: PullProgress) -> None:
        if self._throttle.is_due(self._clock()):
            self._downloading(progress)

    @contextlib.contextmanager
    def beating(self, progress: PullProgress, seconds: float = BEAT_SECONDS) -> Iterator[None]:
        """Write now and then periodically during the block, also while no counter changes.

        In a thread, since a slow disk may block the pull. Not before the first file: until then
        the file may belong to another pull of the model, which holds the lock.
        """
        over = threading.Event()

        def beat() -> None:
            while not over.wait(seconds):
                if progress.started:
                    self._downloading(progress)

        self._downloading(progress)
        thread = threading.Thread(target=beat, name="progress-file", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _downloading(self, progress: PullProgress) -> None:
        message = f"downloading {progress.name}".rstrip()
        beat = next(self._beats) if progress.started else 0
        self._write(DownloadState("downloading", progress.fraction, message, beat))

    def fail(self, progress: PullProgress, message: str) -> None:
        self._write(DownloadState("failed", progress.fraction, message))

    def remove(self) -> None:
        """Delete the file of a complete model: the completion marker replaces it."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self, state: DownloadState) -> None:
        with contextlib.suppress(OSError):
            write_progress(self._path, state)
