"""Quantize the weights of a loaded model, layer by layer."""

from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.model_shape import layers_of
from sizeup_inference.engine.loading.rounding import error
from sizeup_inference.engine.quantization.formats import (
    Format,
    QuantizedWeight,
    dequantize,
    is_quantizable,
)
from sizeup_inference.engine.quantization.modules import QuantizedEmbedding, QuantizedLinear

Quantize = Callable[[torch.Tensor, Format], QuantizedWeight]

_TOLERANCE = 0.4
"""Of the norm of a matrix: rounding to 4 bits is 0.08, more with outliers; a fault is about 1."""

HEAD_FORMAT = Format.INT8
"""Of the output head and the embedding, at int4 too: every token's logits depend on them directly,
and llama.cpp's q4_0 keeps them at 6 to 8 bits as well."""


def quantize_model(model: PreTrainedModel, form: Format, quantize: Quantize) -> None:
    """Replace the linear layers of the decoder, the head and the embedding, freeing each weight.

    What is not a torch Linear, such as the experts of some mixtures, and matrices without whole
    groups stay as they are. Raises LoadError where nothing can be quantized, and where a quantized
    matrix differs from its source.
    """
    dtype = model.dtype
    count = 0
    for layer in layers_of(model):
        for parent, name, linear in _linears(layer):
            replacement = _quantized_linear(linear, form, dtype, quantize)
            if not count:
                _check(linear.weight, replacement.quantized)
            setattr(parent, name, replacement)
            count += 1
    count += _quantize_head(model, dtype, quantize)
    if not count:
        raise LoadError(f"{type(model).__name__} has no weights that can be quantized to {form}")


def _linears(layer: torch.nn.Module) -> Sequence[tuple[torch.nn.Module, str, torch.nn.Linear]]:
    return [
        (parent, name, child)
        for parent in layer.modules()
        for name, child in parent.named_children()
        if type(child) is torch.nn.Linear and is_quantizable(child.weight)
    ]


def _quantized_linear(
    linear: torch.nn.Linear, form: Format, dtype: torch.dtype, quantize: Quantize
) -> QuantizedLinear:
    bias = None if linear.bias is None else linear.bias.detach()
    return QuantizedLinear(quantize(linear.weight, form), dtype, bias)


def _check(weight: torch.Tensor, quantized: QuantizedWeight) -> None:
    """Compare a weight with its quantized form, which the trial of the forward pass cannot."""
    difference = error(dequantize(quantized, torch.float32), weight.detach().float())
    if not difference <= _TOLERANCE:  # nor NaN
        raise LoadError(f"{quantized.format} weights are wrong by {difference:.0%}")


def _quantize_head(model: PreTrainedModel, dtype: torch.dtype, quantize: Quantize) -> int:
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if type(embedding) is not torch.nn.Embedding or type(head) is not torch.nn.Linear:
        return 0
    if not is_quantizable(embedding.weight) or not is_quantizable(head.weight):
        return 0
    tied = head.weight is embedding.weight
    quantized_head = _quantized_linear(head, HEAD_FORMAT, dtype, quantize)
    weight = quantized_head.quantized if tied else quantize(embedding.weight, HEAD_FORMAT)
    model.set_output_embeddings(quantized_head)  # type: ignore[no-untyped-call]
    model.set_input_embeddings(QuantizedEmbedding(weight, dtype))
    return 2
