"""Peak resident memory of this process. Standard library only."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def peak_rss_bytes() -> int:
    """Return the peak since `reset_peak_rss`, or of the process's life where it has no effect.

    Linux's ru_maxrss starts from the peak of the process that called exec, so it is not used there.
    """
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_rss() -> None:
    """Restart the peak from the present resident memory; no effect outside Linux."""
    if _CLEAR_REFS.exists():
        _CLEAR_REFS.write_text("5")
