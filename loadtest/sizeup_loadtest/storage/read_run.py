"""Runs on disk, as a folder or as results.json only."""

from pathlib import Path

from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.errors import FolderError
from sizeup_loadtest.storage.run_folder import RECORD_FILES, RunFolder


def results(path: Path) -> Results:
    """Read the results of a folder or a file; FolderError when that fails."""
    if path.is_dir():
        return RunFolder(path).results()
    return RunFolder(path.parent).read(path.name, Results)


def records(before: Path, after: Path) -> tuple[list[Record], list[Record]] | None:
    """Read the records of two runs, or None where one has none beside its results."""
    if not (_has_records(before) and _has_records(after)):
        return None
    return list(RunFolder(before).records()), list(RunFolder(after).records())


def _has_records(path: Path) -> bool:
    return any((path / name).is_file() for name in RECORD_FILES)


def write(path: Path, text: str) -> None:
    """Write a text file; FolderError when that fails."""
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise FolderError(f"{path}: {error.strerror}") from None
