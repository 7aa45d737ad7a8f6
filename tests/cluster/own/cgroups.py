"""The cgroup that holds those of all pods, in every hierarchy of the machine."""

import contextlib
from pathlib import Path

from cluster.own.programs import CGROUP
from cluster.polling import wait_for

_ROOT = Path("/sys/fs/cgroup")
_EMPTY_SECONDS = 30.0
"""Killed processes are in their cgroup until the kernel has buried them."""


def make() -> None:
    """Make it in each hierarchy, which the kubelet insists on."""
    for hierarchy in _hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)


def remove() -> None:
    """Remove it with all below it, once what ran there is dead; TimeoutError when it is not."""
    wait_for(_removed, f"removal of cgroup {CGROUP}", _EMPTY_SECONDS)


def _hierarchies() -> list[Path]:
    """Return the mounted hierarchies: one with version 2, one a controller with version 1."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [path for path in _ROOT.iterdir() if path.is_dir() and not path.is_symlink()]


def _removed() -> bool:
    for hierarchy in _hierarchies():
        top = hierarchy / CGROUP
        # The files in a cgroup are the kernel's, and go with their folder.
        for folder in sorted(top.rglob("*/"), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()
    return not any((hierarchy / CGROUP).exists() for hierarchy in _hierarchies())
