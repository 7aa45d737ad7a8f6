"""Rounding matrices to groups of integers, with torch and with the C kernels."""

from collections.abc import Callable

import pytest
import torch

from inference.engine.built_kernels import require_kernels
from sizeup_inference.engine.kernels.quantize import quantizer
from sizeup_inference.engine.quantization.formats import (
    GROUP,
    Format,
    QuantizedWeight,
    dequantize,
    quantize,
)

torch.set_num_threads(1)

ERRORS = {Format.INT8: 0.006, Format.INT4: 0.085}
"""Of normal weights, relative to their norm; int4 with a scale by the largest value has 0.092."""


def compiled(weight: torch.Tensor, form: Format) -> QuantizedWeight:
    require_kernels()
    with quantizer(threads=2) as run:
        return run(weight, form)


QUANTIZERS = [
    pytest.param(quantize, id="torch"),
    pytest.param(compiled, id="compiled"),
]
Quantize = Callable[[torch.Tensor, Format], QuantizedWeight]


def weights(rows: int = 37, depth: int = 3 * GROUP) -> torch.Tensor:
    return torch.randn(rows, depth, generator=torch.Generator().manual_seed(1)) * 0.02


def distance(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("run", QUANTIZERS)
def test_weights_are_near(run: Quantize, form: Format, dtype: torch.dtype) -> None:
    weight = weights(200, 8 * GROUP).to(dtype)
    quantized = run(weight, form)
    assert quantized.shape == weight.shape
    assert distance(dequantize(quantized, torch.float32), weight.float()) < ERRORS[form]


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_quantizers_are_equally_good(form: Format, dtype: torch.dtype) -> None:
    weight = weights().to(dtype)
    one, other = (
        distance(dequantize(run(weight, form), torch.float32), weight.float())
        for run in (quantize, compiled)
    )
    assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.parametrize("run", QUANTIZERS)
def test_bits_of_a_weight(run: Quantize) -> None:
    weight = weights(64, 64)
    for form, bits in ((Format.INT8, 8.5), (Format.INT4, 4.5)):
        quantized = run(weight, form)
        stored = quantized.values.nbytes + quantized.scales.nbytes
        assert stored * 8 == bits * weight.numel()


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("run", QUANTIZERS)
def test_integers_times_a_scale_are_exact(run: Quantize, form: Format) -> None:
    low, high = (-8, 7) if form is Format.INT4 else (-128, 127)
    integers = torch.randint(low, high + 1, (5, 2 * GROUP), generator=torch.Generator())
    integers[:, ::GROUP] = low
    weight = integers * 0.25
    assert torch.equal(dequantize(run(weight, form), torch.float32), weight)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("run", QUANTIZERS)
def test_zeros_stay_zeros_and_tiny_weights_finite(run: Quantize, form: Format) -> None:
    weight = torch.zeros(2, 2 * GROUP)
    weight[1] = 1e-40
    found = dequantize(run(weight, form), torch.float32)
    assert torch.equal(found[0], weight[0])
    assert found.isfinite().all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("run", QUANTIZERS)
def test_a_weight_that_is_not_finite_stays_visible(run: Quantize, form: Format, bad: float) -> None:
    weight = weights(3, 2 * GROUP)
    weight[1, 5] = bad
    found = dequantize(run(weight, form), torch.float32)
    assert found[1, :GROUP].isnan().all()
    assert found[[0, 2]].isfinite().all()
    assert found[1, GROUP:].isfinite().all()
