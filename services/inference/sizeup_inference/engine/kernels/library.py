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


def _fields(kind: type[Any], names: str) -> tuple[tuple[str, type[Any]], ...]:
    return tuple((name, kind) for name in names.split())


class Layer(ctypes.Structure):
    """Layer in decoder.h."""

    _fields_ = (
        *_fields(ctypes.c_void_p, "input_norm post_norm q_norm k_norm qkv_bias"),
        *_fields(ctypes.c_void_p, "qkv o gate_up down keys values"),
        ("window", ctypes.c_int64),
    )


class Model(ctypes.Structure):
    """Model in decoder.h."""

    _fields_ = (
        *_fields(ctypes.c_int64, "dtype level format head_format hidden intermediate heads"),
        *_fields(ctypes.c_int64, "kv_heads head_dim vocab layer_count page_size"),
        *_fields(ctypes.c_double, "epsilon scale rope_scale"),
        *_fields(ctypes.c_void_p, "inverse_frequencies final_norm head embedding"),
        ("layers", ctypes.POINTER(Layer)),
    )


class Step(ctypes.Structure):
    """Step in decoder.h."""

    _fields_ = (
        *_fields(ctypes.c_int64, "rows spans samples"),
        *_fields(ctypes.c_void_p, "ids lengths contexts first_page pages sample_rows logits_rows"),
        *_fields(ctypes.c_void_p, "masks logits best hidden"),
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
