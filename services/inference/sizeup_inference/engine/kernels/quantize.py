"""Quantize weights with the compiled kernels: some fifty times as fast as with torch."""

import torch

from sizeup_inference.engine.kernels.library import load_library
from sizeup_inference.engine.quantization.formats import GROUP, Format, QuantizedWeight
from sizeup_inference.engine.quantization.formats import quantize as quantize_with_torch

DTYPES = {torch.float32: 0, torch.bfloat16: 1}
"""FLOAT32 and BFLOAT16 in matmul.h."""

FORMATS = {Format.INT8: 2, Format.INT4: 3}
"""INT8 and INT4 in quantized.h."""


class Quantizer:
    """Rounds matrices, on threads of its own where the kernels were built; a context manager."""

    def __init__(self, threads: int) -> None:
        """Raises MemoryError."""
        self._library = load_library()
        self._pool = None
        if self._library is not None:
            self._pool = self._library.sizeup_pool_create(threads)
            if not self._pool:
                raise MemoryError("no resources for the threads that quantize")

    def __enter__(self) -> "Quantizer":
        return self

    def __exit__(self, *_error: object) -> None:
        if self._library is not None:
            self._library.sizeup_pool_destroy(self._pool)

    def __call__(self, weight: torch.Tensor, form: Format) -> QuantizedWeight:
        """Round a matrix whose depth is a multiple of GROUP: see formats.quantize."""
        if self._library is None or weight.dtype not in DTYPES or weight.device.type != "cpu":
            return quantize_with_torch(weight, form)
        weight = weight.detach().contiguous()
        rows, depth = weight.shape
        if form is Format.INT8:
            values = torch.empty(rows, depth, dtype=torch.int8)
        else:
            values = torch.empty(rows, depth // 2, dtype=torch.uint8)
        scales = torch.empty(rows, depth // GROUP, dtype=torch.bfloat16)
        self._library.sizeup_quantize(
            self._pool,
            DTYPES[weight.dtype],
            FORMATS[form],
            weight.data_ptr(),
            rows,
            depth,
            values.data_ptr(),
            scales.data_ptr(),
        )
        return QuantizedWeight(form, values, scales)
