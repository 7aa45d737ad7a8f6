"""Files with keys or tokens that other users of the machine may read or change."""

import logging
import stat
from pathlib import Path

_log = logging.getLogger(__name__)

_OTHERS = stat.S_IROTH | stat.S_IWOTH
"""Not the group's: Kubernetes mounts Secrets with mode 0440 and the pod's fsGroup."""


def exposed_mode(path: Path) -> str | None:
    """Return the mode of a file that others may read or write, as chmod takes it; None if none may.

    Links are followed: a Secret's file is a link to its current version. As in ssh, the folders
    above do not count. A missing file is an error of what reads it.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    return f"{mode:04o}" if mode & _OTHERS else None


def log_exposure(path: Path) -> None:
    if mode := exposed_mode(path):
        _log.warning("secret_file.exposed", extra={"file": str(path), "mode": mode})


def exposure_warning(path: Path) -> str | None:
    """Return one line about a file that others may read or write."""
    mode = exposed_mode(path)
    return mode and f"warning: {path} has mode {mode}: other users have access; run chmod 600"
