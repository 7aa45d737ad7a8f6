"""Read /proc. Linux only."""

import re
from pathlib import Path

_PROC = Path("/proc")


def children_of(pid: int) -> list[int]:
    """Return the pids of the children of all threads of a process."""
    lists = (_PROC / str(pid) / "task").glob("*/children")
    return [int(child) for path in lists for child in path.read_text().split()]


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def name_of(pid: int) -> str:
    """Return the name of a process, of at most 15 characters; empty after its exit."""
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def environment_of(pid: int) -> dict[str, str]:
    """Return the initial environment of a process; empty after its exit."""
    try:
        raw = (_PROC / str(pid) / "environ").read_text(errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(entry.split("=", 1) for entry in raw.split("\0") if "=" in entry)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", (_PROC / str(pid) / "status").read_text())
    assert found is not None
    return int(found[1]) / 1024
