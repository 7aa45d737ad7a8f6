"""The compiled kernels, if they were built. Takes addresses, so it needs no torch."""

import ctypes
import functools
import sysconfig
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).with_name(f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}")
"""The extension module that setuptools builds for this Python and platform."""

PANEL = 16
"""Columns of a packed panel: PANEL in matmul.h."""


class Level(IntEnum):
    """Special instructions for products of bfloat16; the values are those of matmul.h.

    PORTABLE is vector code for what else the processor has; float32 needs no more.
    """

    PORTABLE = 0
    AVX512_BF16 = 1
    AMX = 2


class Layer(ctypes.Structure):
    """Layer in decoder.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("input_norm", "post_norm", "q_norm", "k_norm")),
        *((name, ctypes.c_void_p) for name in ("qkv_bias", "qkv", "o", "gate_up", "down")),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("window", ctypes.c_int64),
    )


class Model(ctypes.Structure):
    """Model in decoder.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("dtype", "level", "format", "head_format")),
        *((name, ctypes.c_int64) for name in ("hidden", "intermediate")),
        *((name, ctypes.c_int64) for name in ("heads", "kv_heads", "head_dim", "vocab")),
        *((name, ctypes.c_int64) for name in ("layer_count", "page_size")),
        *((name, ctypes.c_double) for name in ("epsilon", "scale", "rope_scale")),
        *((name, ctypes.c_void_p) for name in ("inverse_frequencies", "final_norm", "head")),
        ("embedding", ctypes.c_void_p),
        ("layers", ctypes.POINTER(Layer)),
    )


class Step(ctypes.Structure):
    """Step in decoder.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("rows", "spans", "samples")),
        *((name, ctypes.c_void_p) for name in ("ids", "lengths", "contexts", "first_page")),
        *((name, ctypes.c_void_p) for name in ("pages", "sample_rows", "logits_rows", "masks")),
        *((name, ctypes.c_void_p) for name in ("logits", "best", "hidden")),
    )


@functools.cache
def load_library(path: Path = LIBRARY) -> ctypes.CDLL | None:
    """Return the library, or None where it was not built or is another machine's."""
    try:
        library = ctypes.CDLL(str(path))
        _declare(library)
    except (OSError, AttributeError):
        return None
    return library


def _declare(library: ctypes.CDLL) -> None:
    address, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    signatures: Mapping[str, tuple[Any, ...]] = {
        "processor_level": (number,),
        "allocate": (address, number),
        "free": (None, address),
        "trim": (None,),
        "pool_create": (address, number),
        "pool_destroy": (None, address),
        "pack": (None, address, number, address, address, number, number, address, number),
        "quantize": (None, address, number, number, address, number, number, address, address),
        "panel_bytes": (number, number, number),
        "decoder_create": (address, address, ctypes.POINTER(Model)),
        "decoder_destroy": (None, address),
        "decoder_run": (number, address, ctypes.POINTER(Step)),
        "decoder_head": (number, address, ctypes.POINTER(Step)),
        "instruction_sets": (number,),
        "penalize_repetition": (None, address, number, address, number, ctypes.c_float),
        "mask": (None, number, address, number, address),
        "sample": (number, number, address, number, real, number, real, real, real),
        "logprobs": (number, number, address, *[number] * 3, *[address] * 3),
    }
    for name, (result, *arguments) in signatures.items():
        function = library[f"sizeup_{name}"]
        function.restype, function.argtypes = result, arguments
        setattr(library, f"sizeup_{name}", function)
