"""Quantize a model while it moves to a GPU, with torchao; a product of each layer is checked.

A layer is quantized when it has arrived, so that the GPU never holds more than one unquantized
layer. int8 has a scale for each row, and torch multiplies it with activations in the model's dtype;
int4 has groups of 32 and torch's tinygemm kernel, which needs bfloat16.
"""

from importlib import import_module
from typing import Any

import torch
from transformers import PreTrainedModel

from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.model_shape import layers_of
from sizeup_inference.engine.loading.quantize_model import HEAD_FORMAT
from sizeup_inference.engine.loading.rounding import error
from sizeup_inference.engine.quantization.formats import GROUP, Format

_TOLERANCE = {Format.INT8: 0.03, Format.INT4: 0.25}
"""Of the norm of a product with random inputs: rounding is 0.01 and 0.1, a fault about 1."""

_TRIAL_ROWS = 8


def quantize_onto(model: PreTrainedModel, form: Format, device: torch.device) -> None:
    """Move a model on the CPU to a device, quantizing the linear layers of decoder and head.

    A tied head is quantized apart from the embedding, which stays in the model's dtype. Raises
    LoadError without torchao, for a dtype that its kernels do not have, and for a wrong product.
    """
    torchao = _import_torchao()
    if form is Format.INT4 and model.dtype != torch.bfloat16:
        raise LoadError(f"quantization int4 on a GPU needs dtype bfloat16, not {model.dtype}")
    for layer in layers_of(model):
        _quantize(torchao, layer, form, device)
    _untie(model)
    head = torch.nn.ModuleList([model.get_output_embeddings()])  # type: ignore[no-untyped-call]
    _quantize(torchao, head, HEAD_FORMAT, device)
    model.to(device)  # type: ignore[arg-type]


def stored_bytes(tensor: torch.Tensor) -> int:
    """Return the memory of a tensor: one that torchao has quantized reports its unpacked size."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return tensor.nbytes
    names, _ = tensor.__tensor_flatten__()
    return sum(stored_bytes(getattr(tensor, name)) for name in names)


def _import_torchao() -> Any:
    try:
        return import_module("torchao.quantization")
    except ImportError as error:
        raise LoadError(
            "quantization on a GPU needs torchao: install sizeup-inference[gpu-quantization]"
        ) from error


def _quantize(torchao: Any, module: torch.nn.Module, form: Format, device: torch.device) -> None:
    module.to(device)
    first = next((m for m in module.modules() if type(m) is torch.nn.Linear), None)
    if first is None:
        return
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_TRIAL_ROWS, first.in_features, generator=generator).to(first.weight)
    expected = _product(first, x)
    torchao.quantize_(module, _config(torchao, form), lambda m, _name: type(m) is torch.nn.Linear)
    difference = error(_product(first, x), expected)
    if not difference <= _TOLERANCE[form]:  # nor NaN
        raise LoadError(f"a product of {form} weights on {device} is wrong by {difference:.0%}")


@torch.inference_mode()
def _product(linear: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
    product: torch.Tensor = linear(x)
    return product.float()


def _config(torchao: Any, form: Format) -> Any:
    if form is Format.INT8:
        return torchao.Int8WeightOnlyConfig()
    return torchao.Int4WeightOnlyConfig(
        group_size=GROUP,
        int4_packing_format="tile_packed_to_4d",
        int4_choose_qparams_algorithm="hqq",
    )


def _untie(model: PreTrainedModel) -> None:
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore[no-untyped-call]
    if isinstance(head, torch.nn.Linear) and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
