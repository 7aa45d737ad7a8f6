"""What a download says to who waits for it: a marker when it is whole, its progress until then.

Standard library only: the waiting process and the downloading one have nothing else in common.
"""

import contextlib
import json
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sizeup_store.weights import (
    CONFIG,
    ModelNotFoundError,
    find_model,
    is_hub_id,
    marker_path,
    repository_folder,
)

BEAT_SECONDS = 10.0
"""A download that lives writes its progress at least so often, whatever it is busy with."""
_DEAD_SECONDS = 180.0
"""Without a beat for so long it is dead: NFS may show a minute late what another has written."""


@dataclass(frozen=True, slots=True)
class DownloadState:
    """How far a download is, as /readyz says it."""

    state: Literal["downloading", "failed"] = "downloading"
    progress: float = 0.0
    """Share of the model's bytes that are here, 0 to 1."""
    message: str = "waiting for the download to begin"
    beat: int = 0
    """Another number every time; 0 is none, of a download that has not come to its first file."""


class Pulse:
    """Notice a download that has died without a word. Pure: the clock is an argument.

    Counts how long its reader has seen nothing new. The file's own time is another host's.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self._last = DownloadState()
        self._since = 0.0

    def judge(self, state: DownloadState, now: float) -> DownloadState:
        """Return what was read `now`, in seconds, or the failure that it has come to."""
        if state != self._last:
            self._last, self._since = state, now
        lives = now - self._since <= _DEAD_SECONDS
        if state.state == "failed" or not state.beat or lives:
            return state
        silence = f"the download stopped: no sign of it for {_DEAD_SECONDS:.0f} s"
        return replace(state, state="failed", message=silence)


def is_complete(model: str, revision: str | None, cache: Path) -> bool:
    """Tell whether a folder is there, or an id of the cache was downloaded whole and verified.

    Raises OSError where that cannot be seen.
    """
    try:
        folder = find_model(model, revision, cache)
    except ModelNotFoundError:
        return False
    if not is_hub_id(model) or Path(model).expanduser().is_dir():
        return True
    return marker_path(folder).is_file() and (folder / CONFIG).is_file()


def progress_path(model_id: str, revision: str | None, cache: Path) -> Path:
    """Return where the download of a revision keeps its progress."""
    name = quote(revision or "main", safe="")
    return repository_folder(model_id, cache) / ".sizeup" / f"{name}.progress"


def read_progress(path: Path) -> DownloadState:
    """Return what a download said last; without a file, or sense in it, it has not begun.

    Raises OSError where the file cannot be read.
    """
    try:
        said = json.loads(path.read_bytes())
        state, beat = said["state"], said.get("beat")
        return DownloadState(
            "failed" if state == "failed" else "downloading",
            min(max(float(said["progress"]), 0.0), 1.0),
            str(said["message"]),
            beat if isinstance(beat, int) else 0,
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return DownloadState()


def write_progress(path: Path, state: DownloadState) -> None:
    """Say how far a download is, in one step; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        draft.write_text(json.dumps(asdict(state)), encoding="ascii")
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
