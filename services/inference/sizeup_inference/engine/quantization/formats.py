"""Weights in groups along the input dimension: an integer times the scale of its group.

As in llama.cpp's q8_0 and q4_0, groups have 32 weights and one 16-bit scale: 8.5 and 4.5 bits a
weight. Scales are bfloat16, whose range is that of the weights. The C kernels read and write the
same arrays: engine/kernels/c/quantized.h.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch

GROUP = 32
"""Weights of a scale: GROUP in quantized.h."""

_REACH = {"int8": 128.0, "int4": 8.0}
"""The largest weight of a group becomes about -_REACH, as in llama.cpp: of a signed integer's
values the negative end is the further one."""

_STEPS = 8
_STEP = 0.125
"""int4 tries scales that bring the largest weight to -7, -7.125, .. -9, and keeps the one of least
squared error: 9 % less of it than with -8 alone."""

_CHUNK = 1 << 20
"""Weights that are quantized at once: temporary tensors are small."""


class Format(StrEnum):
    """How a weight is stored."""

    INT8 = "int8"
    INT4 = "int4"


@dataclass(frozen=True, slots=True)
class QuantizedWeight:
    """A matrix [rows, depth]."""

    format: Format
    values: torch.Tensor
    """int8[rows, depth]; or uint8[rows, depth / 2] for int4: byte i of a group's 16 holds the
    weights i (low half) and i + 16 (high half), each plus 8."""
    scales: torch.Tensor
    """bfloat16[rows, depth / GROUP]"""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and depth."""
        return self.scales.shape[0], self.scales.shape[1] * GROUP


def is_quantizable(weight: torch.Tensor) -> bool:
    """Whether a matrix has whole groups, in a dtype that is quantized."""
    return weight.dim() == 2 and weight.shape[1] % GROUP == 0 and weight.is_floating_point()


def quantize(weight: torch.Tensor, form: Format) -> QuantizedWeight:
    """Round a matrix whose depth is a multiple of GROUP.

    A group with a NaN or an infinite weight has the scale NaN.
    """
    rows = max(1, _CHUNK // weight.shape[1])
    chunks = [_quantize_chunk(chunk.float(), form) for chunk in torch.split(weight.detach(), rows)]
    values, scales = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    return QuantizedWeight(form, values, scales)


def dequantize(weight: QuantizedWeight, dtype: torch.dtype) -> torch.Tensor:
    """Return the matrix [rows, depth], rounded to the dtype."""
    rows, depth = weight.shape
    integers = _integers(weight).view(rows, depth // GROUP, GROUP).to(dtype)
    return (integers * weight.scales.to(dtype)[..., None]).view(rows, depth)


def _integers(weight: QuantizedWeight) -> torch.Tensor:
    """Return int8[rows, depth]."""
    if weight.format is Format.INT8:
        return weight.values
    rows, depth = weight.shape
    halves = weight.values.view(rows, -1, GROUP // 2)
    integers = torch.cat((halves & 15, halves >> 4), dim=-1).view(torch.int8).sub_(8)
    return integers.view(rows, depth)


def _quantize_chunk(weight: torch.Tensor, form: Format) -> tuple[torch.Tensor, torch.Tensor]:
    groups = weight.view(weight.shape[0], -1, GROUP)
    reach, steps = _REACH[form], _STEPS if form is Format.INT4 else 0
    scales = _find_scales(groups, reach, steps).bfloat16()
    integers = _round(groups, _inverse(scales.float()), reach).to(torch.int8)
    if form is Format.INT8:
        return integers.view(weight.shape), scales
    nibbles = integers.add(8).view(torch.uint8)
    packed = nibbles[..., : GROUP // 2] | nibbles[..., GROUP // 2 :] << 4
    return packed.view(weight.shape[0], -1), scales


def _find_scales(groups: torch.Tensor, reach: float, steps: int) -> torch.Tensor:
    """Return float32[rows, groups]: those of least squared error, refitted to their integers."""
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True))[..., 0]
    best, gained = torch.zeros_like(largest), torch.zeros_like(largest)
    for i in range(-steps, steps + 1):
        inverse = -(reach + i * _STEP) * _inverse(largest)
        integers = _round(groups, inverse, reach)
        products, squares = (groups * integers).sum(-1), integers.square().sum(-1)
        scale = torch.where(squares > 0, products / squares, 0.0)
        better = products * scale > gained
        gained = torch.where(better, products * scale, gained)
        best = torch.where(better, scale, best)
    return best + (groups - groups).sum(-1)


def _round(groups: torch.Tensor, inverse: torch.Tensor, reach: float) -> torch.Tensor:
    rounded = (groups * inverse[..., None]).round_().clamp_(-reach, reach - 1)
    return rounded.nan_to_num_(0.0)


def _inverse(scales: torch.Tensor) -> torch.Tensor:
    """Return 1 / scales; 0 where that would overflow."""
    smallest = torch.finfo(torch.float32).tiny
    return torch.where(scales.abs() > smallest, scales.reciprocal(), 0.0)
