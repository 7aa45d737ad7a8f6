"""The parent cgroup of all pods, in every hierarchy of the machine."""

import contextlib
from pathlib import Path

from cluster.own.programs import CGROUP
from cluster.polling import wait_for

_ROOT = Path("/sys/fs/cgroup")
_EMPTY_SECONDS = 30.0
"""Killed processes stay in their cgroup until the kernel has reaped them."""


def make() -> None:
    """Create it in each hierarchy; the kubelet requires it."""
    for hierarchy in _hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)


def remove() -> None:
    """Remove it recursively. Raises TimeoutError if its processes do not exit."""
    wait_for(_removed, f"removal of cgroup {CGROUP}", _EMPTY_SECONDS)


def _hierarchies() -> list[Path]:
    """Return the mounted hierarchies: one with cgroup v2, one per controller with v1."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [path for path in _ROOT.iterdir() if path.is_dir() and not path.is_symlink()]


def _removed() -> bool:
    for hierarchy in _hierarchies():
        top = hierarchy / CGROUP
        # The files in a cgroup belong to the kernel and disappear with the folder.
        for folder in sorted(top.rglob("*/"), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()
    return not any((hierarchy / CGROUP).exists() for hierarchy in _hierarchies())
