"""The compiled decode attention, if it was built. Takes addresses, so it needs no torch."""

import ctypes
import sysconfig
from collections.abc import Callable
from pathlib import Path

DecodeFunction = Callable[..., int]
"""The C function of decode_attention.c, which documents its arguments."""

LIBRARY = Path(__file__).with_name(f"_decode_attention{sysconfig.get_config_var('EXT_SUFFIX')}")
"""The extension module that setuptools builds for this Python and platform."""


def load_decode_attention(library: Path = LIBRARY) -> DecodeFunction | None:
    """Return the compiled function, or None where it was not built or cannot be loaded.

    A checkout may be used on another machine than the one that built it, and the OpenMP library may
    be missing. Import torch first: both then share its OpenMP runtime.
    """
    try:
        function = ctypes.CDLL(str(library)).sizeup_decode_attention
    except (OSError, AttributeError):
        return None
    function.argtypes = [
        *[ctypes.c_void_p] * 6,
        *[ctypes.c_int64] * 4,
        ctypes.c_float,
        ctypes.c_int64,
    ]
    function.restype = ctypes.c_int
    return function
