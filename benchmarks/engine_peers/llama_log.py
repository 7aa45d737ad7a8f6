"""The log of llama.cpp."""

import ctypes
import sys

import llama_cpp

_ERROR = 4
"""GGML_LOG_LEVEL_ERROR."""


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _write_error(level: int, text: bytes, _data: ctypes.c_void_p) -> None:
    if level == _ERROR:
        sys.stderr.write(text.decode(errors="replace"))


def log_errors_only() -> None:
    """Drop the description of every tensor, and keep what explains a failure."""
    llama_cpp.llama_log_set(_write_error, None)
