"""Modules over quantized weights, against plain ones over the dequantized weights."""

import pytest
import torch

from sizeup_inference.engine.quantization import modules
from sizeup_inference.engine.quantization.formats import Format, dequantize, quantize
from sizeup_inference.engine.quantization.modules import (
    QuantizedEmbedding,
    QuantizedLinear,
)

torch.set_num_threads(1)


def weights(rows: int, depth: int) -> torch.Tensor:
    return torch.randn(rows, depth, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
@pytest.mark.parametrize("form", Format)
def test_a_linear_layer_multiplies_the_dequantized_weight(
    form: Format, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "_PIECE", piece)
    quantized, bias = quantize(weights(10, 64), form), torch.arange(10.0)
    x = weights(3, 64)
    expected = x @ dequantize(quantized, torch.float32).T + bias
    layer = QuantizedLinear(quantized, torch.float32, bias)
    torch.testing.assert_close(layer(x), expected)
    assert (layer.in_features, layer.out_features) == (64, 10)


@pytest.mark.parametrize("form", Format)
def test_an_embedding_returns_dequantized_rows(form: Format) -> None:
    quantized = quantize(weights(10, 64), form)
    ids = torch.tensor([[3, 0], [9, 3]])
    expected = dequantize(quantized, torch.bfloat16)[ids]
    assert torch.equal(QuantizedEmbedding(quantized, torch.bfloat16)(ids), expected)
