"""Properties of the client's machine that affect measurements."""

import os
import platform
from collections.abc import Mapping
from importlib import metadata

import aiohttp


def tool_version() -> str:
    return metadata.version("sizeup-loadtest")


def environment() -> Mapping[str, str]:
    """Describe the client's machine, without its name."""
    usable = hasattr(os, "sched_getaffinity")
    return {
        "python": platform.python_version(),
        "aiohttp": aiohttp.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "client_cpus": str(len(os.sched_getaffinity(0)) if usable else os.cpu_count()),
    }
