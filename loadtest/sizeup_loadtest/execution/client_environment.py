"""Where a run was made, as far as it matters to its figures."""

import os
import platform
from collections.abc import Mapping
from importlib import metadata

import aiohttp


def tool_version() -> str:
    """Return the version of the load test."""
    return metadata.version("sizeup-loadtest")


def environment() -> Mapping[str, str]:
    """Describe the client's machine without naming it."""
    return {
        "python": platform.python_version(),
        "aiohttp": aiohttp.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "client_cpus": str(len(os.sched_getaffinity(0)))
        if hasattr(os, "sched_getaffinity")
        else str(os.cpu_count()),
    }
