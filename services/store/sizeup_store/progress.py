"""The state of a download for waiting processes: a progress file, then the completion marker.

Standard library only: it is shared by the downloading and the waiting process.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sizeup_store.markers import marker_path, write_atomically
from sizeup_store.weights import (
    CONFIG,
    ModelNotFoundError,
    find_model,
    is_hub_id,
    repository_folder,
)

BEAT_SECONDS = 10.0
"""A running download writes its progress at least this often."""
_DEAD_SECONDS = 180.0
"""A download without a heartbeat for this long is dead; NFS may show a write a minute late."""


@dataclass(frozen=True, slots=True)
class DownloadState:
    """The state of a download, as in /readyz."""

    state: Literal["downloading", "failed"] = "downloading"
    progress: float = 0.0
    """Downloaded fraction of the model's bytes, 0 to 1."""
    message: str = "waiting for the download to start"
    beat: int = 0
    """Changes with every write; 0 before the first file: no heartbeat is expected yet."""


class Pulse:
    """Detect a dead download by its heartbeat. Pure: the clock is an argument.

    Measures the time without a change as seen by the reader: the file's mtime is of another host.
    """

    def __init__(self) -> None:
        self._last = DownloadState()
        self._since = 0.0

    def judge(self, state: DownloadState, now: float) -> DownloadState:
        """Return the state read at `now` (seconds), or a failure after the timeout."""
        if state != self._last:
            self._last, self._since = state, now
        alive = now - self._since <= _DEAD_SECONDS
        if state.state == "failed" or not state.beat or alive:
            return state
        message = f"the download died: no heartbeat for {_DEAD_SECONDS:.0f} s"
        return replace(state, state="failed", message=message)


def is_complete(model: str, revision: str | None, cache: Path) -> bool:
    """Return whether a folder exists, or an id is complete and verified; may raise OSError."""
    try:
        folder = find_model(model, revision, cache)
    except ModelNotFoundError:
        return False
    if not is_hub_id(model) or Path(model).expanduser().is_dir():
        return True
    return marker_path(folder).is_file() and (folder / CONFIG).is_file()


def progress_path(model_id: str, revision: str | None, cache: Path) -> Path:
    name = quote(revision or "main", safe="")
    return repository_folder(model_id, cache) / ".sizeup" / f"{name}.progress"


def read_progress(path: Path) -> DownloadState:
    """Return the last state of a download, the default without a file; may raise OSError."""
    try:
        values = json.loads(path.read_bytes())
        state, beat = values["state"], values.get("beat")
        return DownloadState(
            "failed" if state == "failed" else "downloading",
            min(max(float(values["progress"]), 0.0), 1.0),
            str(values["message"]),
            beat if isinstance(beat, int) else 0,
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return DownloadState()


def write_progress(path: Path, state: DownloadState) -> None:
    """Write the state atomically; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(asdict(state)))
