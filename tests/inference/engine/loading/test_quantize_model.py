"""Quantizing a loaded model in place."""

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import random_model
from inference.engine.random_configs import random_config
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.quantize_model import HEAD_FORMAT, quantize_model
from sizeup_inference.engine.quantization.formats import Format, QuantizedWeight, quantize
from sizeup_inference.engine.quantization.modules import QuantizedEmbedding, QuantizedLinear

torch.set_num_threads(1)


def make(name: str) -> PreTrainedModel:
    return random_model(random_config(name))


def logits(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(torch.tensor([[1, 2, 3, 4, 5]])).logits
    return found


@pytest.mark.parametrize(("form", "error"), [(Format.INT8, 0.06), (Format.INT4, 0.6)])
@pytest.mark.parametrize("name", ["qwen2-mha-tied", "qwen3-gqa2-untied", "llama-gqa2-untied"])
def test_a_quantized_model_computes_nearly_the_same(name: str, form: Format, error: float) -> None:
    expected = logits(make(name))
    model = make(name)
    quantize_model(model, form, quantize)
    actual = logits(model)
    assert 0 < (actual - expected).norm() < error * expected.norm()


def test_head_and_embedding_have_more_bits_than_the_layers() -> None:
    model = make("qwen2-gqa7-untied")
    quantize_model(model, Format.INT4, quantize)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore[no-untyped-call]
    assert isinstance(head, QuantizedLinear)
    assert isinstance(embedding, QuantizedEmbedding)
    assert head.format == embedding.format == HEAD_FORMAT
    layers = [m for m in model.model.layers.modules() if isinstance(m, QuantizedLinear)]
    assert {m.format for m in layers} == {Format.INT4}
    assert len(layers) == 2 * 7
    assert not any(type(m) is torch.nn.Linear for m in model.modules())


def test_a_tied_weight_is_in_memory_once() -> None:
    model = make("qwen2-mha-tied")
    quantize_model(model, Format.INT8, quantize)
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore[no-untyped-call]
    assert head.values is embedding.values
    assert head.scales is embedding.scales


def test_wrong_integers_are_an_error() -> None:
    def broken(weight: torch.Tensor, form: Format) -> QuantizedWeight:
        right = quantize(weight, form)
        return QuantizedWeight(form, right.values.roll(1), right.scales)

    with pytest.raises(LoadError, match="int8"):
        quantize_model(make("qwen2-mha-tied"), Format.INT8, broken)


def test_scales_of_nan_are_an_error() -> None:
    def broken(weight: torch.Tensor, form: Format) -> QuantizedWeight:
        right = quantize(weight, form)
        return QuantizedWeight(form, right.values, right.scales * torch.nan)

    with pytest.raises(LoadError, match="int4"):
        quantize_model(make("qwen2-mha-tied"), Format.INT4, broken)


def narrow(model: PreTrainedModel) -> None:
    """Leave no matrix with whole groups."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
            module.weight = torch.nn.Parameter(module.weight[:, :31])


def derive(model: PreTrainedModel) -> None:
    """Give every layer a class that computes in a way of its own."""

    class Own(torch.nn.Linear):
        pass

    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = Own


@pytest.mark.parametrize("change", [narrow, derive])
def test_a_model_without_suitable_weights_is_rejected(
    change: Callable[[PreTrainedModel], None],
) -> None:
    model = make("qwen2-gqa7-untied")
    change(model)
    with pytest.raises(LoadError, match="int4"):
        quantize_model(model, Format.INT4, quantize)
