"""What a download says to who waits for it: a marker when it is whole, its progress until then.

Standard library only: the waiting process and the downloading one have nothing else in common.
"""

import contextlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from sizeup_inference.weights import (
    CONFIG,
    ModelNotFoundError,
    find_model,
    is_hub_id,
    marker_path,
    repository_folder,
)


@dataclass(frozen=True, slots=True)
class DownloadState:
    """How far a download is, as /readyz says it."""

    state: Literal["downloading", "failed"] = "downloading"
    progress: float = 0.0
    """Share of the model's bytes that are here, 0 to 1."""
    message: str = "waiting for the download to begin"


def is_complete(model: str, revision: str | None, cache: Path) -> bool:
    """Tell whether a folder is there, or an id of the cache was downloaded whole and verified."""
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
    """Return what a download said last; what cannot be read has not begun."""
    try:
        said = json.loads(path.read_bytes())
        return DownloadState(
            "failed" if said["state"] == "failed" else "downloading",
            min(max(float(said["progress"]), 0.0), 1.0),
            str(said["message"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
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
