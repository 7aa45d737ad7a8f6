"""Names of the machine and of the versions that a run used."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from engine_peers.catalog import LLAMA_PYTHON

_FEATURES = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX512", "avx2": "AVX2"}
"""Flags of /proc/cpuinfo that decide which kernels run, most capable first."""
_LLAMA_VERSION = "from importlib.metadata import version; print(version('llama-cpp-python'))"


def machine(device: str) -> str:
    """Return the processor, its number of CPUs, and the GPU if one is used."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    flags = set(fields.get("flags", "").split())
    names = [name for flag, name in _FEATURES.items() if flag in flags]
    parts = [fields.get("model name", platform.machine()), f"{os.cpu_count()} CPUs", *names[:2]]
    if device == "cuda":
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def versions() -> Mapping[str, str]:
    """Return the versions of the packages that compute."""
    found = {name: version(name) for name in ("torch", "transformers")}
    if LLAMA_PYTHON.exists():
        argv = [str(LLAMA_PYTHON), "-c", _LLAMA_VERSION]
        found["llama-cpp-python"] = subprocess.check_output(argv, text=True).strip()
    return found
