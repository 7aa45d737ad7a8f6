"""Properties of the client's machine that affect measurements, and its limit of open files."""

import os
import platform
import resource
from collections.abc import Mapping

import aiohttp

from sizeup_loadtest.errors import UsageError

_OTHER_FILES = 32
"""Files that are no connections: of Python, its modules, and the run folder."""
_MACOS_FILES = 10_240
"""OPEN_MAX of macOS, where the hard limit is infinite and cannot be set."""


def environment() -> Mapping[str, str]:
    """Describe the client's machine, without its name."""
    usable = hasattr(os, "sched_getaffinity")
    return {
        "python": platform.python_version(),
        "aiohttp": aiohttp.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "client_cpus": str(len(os.sched_getaffinity(0)) if usable else os.cpu_count()),
    }


def raise_file_limit(users: int) -> None:
    """Raise the soft limit of open files (macOS: 256); UsageError when the hard one is too low.

    Each concurrent request has a connection, which is a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = (hard, _MACOS_FILES)
    for limit in (value for value in limits if soft not in (value, resource.RLIM_INFINITY)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            break
        except (ValueError, OSError):
            continue
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft != resource.RLIM_INFINITY and users + _OTHER_FILES > soft:
        raise UsageError(
            f"{users} concurrent requests need {users + _OTHER_FILES} open files, "
            f"and the limit is {soft} (ulimit -n)"
        )
