"""Quantize weights with the compiled kernels: some fifty times as fast as with torch."""

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from sizeup_inference.engine.kernels.library import load_library
from sizeup_inference.engine.quantization.formats import GROUP, Format, QuantizedWeight
from sizeup_inference.engine.quantization.formats import quantize as quantize_with_torch

DTYPES = {torch.float32: 0, torch.bfloat16: 1}
"""FLOAT32 and BFLOAT16 in matmul.h."""

FORMATS = {Format.INT8: 2, Format.INT4: 3}
"""INT8 and INT4 in quantized.h."""


@contextmanager
def quantizer(threads: int) -> Iterator[Callable[[torch.Tensor, Format], QuantizedWeight]]:
    """Round matrices as formats.quantize does, on threads of its own where the kernels were built.

    Raises MemoryError.
    """
    library = load_library()
    if library is None:
        yield quantize_with_torch
        return
    pool = library.sizeup_pool_create(threads)
    if not pool:
        raise MemoryError("no resources for the threads that quantize")
    try:
        yield functools.partial(_quantize, library, pool)
    finally:
        library.sizeup_pool_destroy(pool)


def _quantize(
    library: ctypes.CDLL, pool: int, weight: torch.Tensor, form: Format
) -> QuantizedWeight:
    if weight.dtype not in DTYPES or weight.device.type != "cpu":
        return quantize_with_torch(weight, form)
    weight = weight.detach().contiguous()
    rows, depth = weight.shape
    if form is Format.INT8:
        values = torch.empty(rows, depth, dtype=torch.int8)
    else:
        values = torch.empty(rows, depth // 2, dtype=torch.uint8)
    scales = torch.empty(rows, depth // GROUP, dtype=torch.bfloat16)
    source, targets = weight.data_ptr(), (values.data_ptr(), scales.data_ptr())
    codes = DTYPES[weight.dtype], FORMATS[form]
    library.sizeup_quantize(pool, *codes, source, rows, depth, *targets)
    return QuantizedWeight(form, values, scales)
