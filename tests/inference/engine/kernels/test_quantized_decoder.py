"""The compiled decoder over quantized weights, against modules that dequantize the same weights."""

import functools

import pytest
import torch

from inference.engine.built_kernels import require_kernels
from inference.engine.kernels.decoding import (
    DTYPES,
    compiled,
    last_logits,
    make_model,
    quantized,
    scattered,
)
from inference.engine.kernels.test_decoder import VARIANTS, distance, prompts
from inference.engine.random_configs import NAMES
from sizeup_inference.engine.kernels.architectures import unsupported_reason
from sizeup_inference.engine.kernels.library import Level
from sizeup_inference.engine.loading.quantize_model import HEAD_FORMAT
from sizeup_inference.engine.loading.rounding import computed_in_float32
from sizeup_inference.engine.quantization.formats import GROUP, Format, quantize
from sizeup_inference.engine.quantization.modules import QuantizedLinear

torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    require_kernels()


@functools.cache
@torch.inference_mode()
def references(name: str, dtype: torch.dtype, form: Format) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of the quantized weights, computed in float32 and in the dtype."""
    model = quantized(make_model(name, dtype), form)
    own = [model(torch.tensor([p])).logits[0, -1].float() for p in prompts()]
    with computed_in_float32(model):
        exact = [model(torch.tensor([p])).logits[0, -1] for p in prompts()]
    return torch.stack(exact), torch.stack(own)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize(("dtype", "level"), VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_the_dequantized_weights(
    name: str, dtype: str, level: Level, form: Format, chunk: int
) -> None:
    exact, own = references(name, DTYPES[dtype], form)
    with compiled(quantized(make_model(name, DTYPES[dtype]), form), 2, level) as decoder:
        actual = last_logits(decoder, scattered(prompts()), chunk)
    error = distance(actual, exact)
    assert error < 1e-5 if dtype == "float32" else error < 1.2 * distance(own, exact)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize(("dtype", "level"), VARIANTS)
def test_the_result_does_not_depend_on_the_threads(dtype: str, level: Level, form: Format) -> None:
    results = []
    for threads in (1, 3):
        model = quantized(make_model("qwen3-gqa2-untied", DTYPES[dtype]), form)
        with compiled(model, threads, level) as decoder:
            results.append(last_logits(decoder, scattered(prompts()), 64))
    assert torch.equal(*results)


@pytest.mark.parametrize("name", ["qwen2-mha-tied", "qwen3-gqa2-untied"])
def test_memory_is_that_of_the_bits(name: str) -> None:
    model = make_model(name, torch.bfloat16)
    of_layers = sum(p.numel() for n, p in model.named_parameters() if n.endswith("proj.weight"))
    heads = 1 if model.config.tie_word_embeddings else 2
    padded_vocab = -(-model.config.vocab_size // 16) * 16
    of_heads = heads * padded_vocab * model.config.hidden_size
    with compiled(quantized(model, Format.INT4)) as decoder:
        expected = of_layers * 4.5 / 8 + of_heads * 8.5 / 8
        assert expected <= decoder.weight_bytes < expected + 2 * 64 * 64


def test_weights_of_several_formats_are_left_to_transformers() -> None:
    model = quantized(make_model("qwen2-mha-tied", torch.float32), Format.INT4)
    up = model.model.layers[1].mlp.up_proj
    weight = quantize(torch.zeros(up.out_features, 2 * GROUP), HEAD_FORMAT)
    model.model.layers[1].mlp.up_proj = QuantizedLinear(weight, torch.float32, None)
    assert "formats" in (unsupported_reason(model) or "")
