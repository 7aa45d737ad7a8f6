"""Rounding of 16 bits is told from a wrong result, also where it is large."""

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import random_model
from inference.small_model import small_config
from sizeup_inference.engine.loading.rounding import computed_in_float32, error, is_rounding
from sizeup_inference.engine.quantization.formats import Format, quantize
from sizeup_inference.engine.quantization.modules import QuantizedLinear

torch.set_num_threads(1)

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


def in_bfloat16() -> PreTrainedModel:
    model = random_model(small_config())
    torch.nn.Module.to(model, torch.bfloat16)
    return model


@torch.inference_mode()
def logits(model: PreTrainedModel) -> torch.Tensor:
    found: torch.Tensor = model(IDS).logits
    return found


def test_a_model_computes_in_float32_with_its_own_weights() -> None:
    model, wide = in_bfloat16(), in_bfloat16()
    torch.nn.Module.to(wide, torch.float32)
    rounded = logits(model)
    with computed_in_float32(model):
        exact = logits(model)
    assert exact.dtype == torch.float32
    torch.testing.assert_close(exact, logits(wide))
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert torch.equal(logits(model), rounded)


def test_quantized_modules_compute_in_float32_too() -> None:
    weight = torch.randn(4, 32, generator=torch.Generator().manual_seed(1))
    layer = QuantizedLinear(quantize(weight, Format.INT8), torch.bfloat16, None)
    norm = torch.nn.LayerNorm(4, dtype=torch.bfloat16)
    model, x = torch.nn.Sequential(layer, norm), torch.ones(2, 32)
    with computed_in_float32(model):
        assert model(x).dtype == torch.float32
    assert model(x.bfloat16()).dtype == torch.bfloat16


def test_weights_are_restored_after_an_error() -> None:
    model = in_bfloat16()
    with pytest.raises(IndexError), computed_in_float32(model):
        model(torch.tensor([[10**6]]))
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_the_error_is_a_share_of_the_norm() -> None:
    assert error(torch.tensor([3.0, 5.0]), torch.tensor([3.0, 4.0])) == pytest.approx(0.2)
    assert error(torch.zeros(2), torch.zeros(2)) == 0


@pytest.mark.parametrize(
    ("actual", "plain", "holds"),
    [
        (1.05, 1.0, True),  # within the tolerance
        (1.2, 1.0, False),
        (1.2, 0.8, True),  # the plain path is as far off, in the other direction
        (1.23, 0.8, True),
        (1.25, 0.8, False),
        (float("nan"), 0.8, False),
    ],
)
def test_a_result_may_be_as_far_from_the_exact_one_as_the_plain_path(
    actual: float, plain: float, holds: bool
) -> None:
    result, by_plain, exact = (torch.tensor([value]) for value in (actual, plain, 1.0))
    assert is_rounding(result, by_plain, exact, tolerance=0.1) is holds
