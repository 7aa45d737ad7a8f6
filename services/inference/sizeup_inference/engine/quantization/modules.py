"""Modules that hold quantized weights: the plain path, on any processor.

They dequantize a matrix in every call, so that a step costs more than one over weights that are not
quantized; the compiled decoder (engine/kernels) reads the same weights without doing so.
"""

from collections.abc import Iterator

import torch
from torch.nn.functional import embedding, linear

from sizeup_inference.engine.quantization.formats import GROUP, QuantizedWeight, dequantize

_PIECE = 1 << 24
"""Weights that are dequantized at once: of a large head only a part at a time."""


class QuantizedModule(torch.nn.Module):
    """Holds a weight as buffers, which move with the model and count as its memory."""

    values: torch.Tensor
    scales: torch.Tensor

    def __init__(self, weight: QuantizedWeight, dtype: torch.dtype) -> None:
        super().__init__()
        self.format, self.dtype = weight.format, dtype
        self.register_buffer("values", weight.values)
        self.register_buffer("scales", weight.scales)

    @property
    def quantized(self) -> QuantizedWeight:
        return QuantizedWeight(self.format, self.values, self.scales)

    def free(self) -> None:
        """Drop the weight; the module is unusable afterwards."""
        self.values, self.scales = self.values.new_empty(0), self.scales.new_empty(0)

    def pieces(self) -> Iterator[torch.Tensor]:
        """Yield the matrix, dequantized, some rows after others."""
        rows = max(1, _PIECE // (self.scales.shape[1] * GROUP))
        parts = zip(torch.split(self.values, rows), torch.split(self.scales, rows), strict=True)
        for values, scales in parts:
            yield dequantize(QuantizedWeight(self.format, values, scales), self.dtype)


class QuantizedLinear(QuantizedModule):
    """A torch Linear."""

    def __init__(
        self, weight: QuantizedWeight, dtype: torch.dtype, bias: torch.Tensor | None
    ) -> None:
        super().__init__(weight, dtype)
        self.out_features, self.in_features = weight.shape
        self.bias = None if bias is None else torch.nn.Parameter(bias, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x times the transposed matrix, in the dtype of x."""
        y = torch.cat([linear(x, piece) for piece in self.pieces()], dim=-1)
        return y if self.bias is None else y + self.bias


class QuantizedEmbedding(QuantizedModule):
    """A torch Embedding; a tied head has the same tensors."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        flat = ids.flatten()
        rows = QuantizedWeight(
            self.format, embedding(flat, self.values), embedding(flat, self.scales)
        )
        return dequantize(rows, self.dtype).view(*ids.shape, -1)
