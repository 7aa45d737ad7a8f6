"""Small checkpoints of every kind of quantization, by hand."""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from inference.engine.engines import random_model
from inference.engine.random_configs import random_config
from sizeup_inference.engine.loading import checkpoints
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.weights import LoadOptions, load_model
from sizeup_inference.engine.quantization.formats import Format

torch.set_num_threads(1)

needs_compressed_tensors = pytest.mark.skipif(
    find_spec("compressed_tensors") is None, reason="the extra `quantized` is not installed"
)
BLOCK = 32
Store = Callable[[str, torch.Tensor], Mapping[str, torch.Tensor]]


def fp8_blocks(name: str, weight: torch.Tensor) -> Mapping[str, torch.Tensor]:
    blocks = weight.view(weight.shape[0] // BLOCK, BLOCK, weight.shape[1] // BLOCK, BLOCK)
    scales = blocks.abs().amax((1, 3)) / 448
    stored = (blocks / scales[:, None, :, None]).view(weight.shape).to(torch.float8_e4m3fn)
    return {f"{name}.weight": stored, f"{name}.weight_scale_inv": scales}


def int8_rows(name: str, weight: torch.Tensor) -> Mapping[str, torch.Tensor]:
    scales = weight.abs().amax(1, keepdim=True) / 127
    stored = (weight / scales).round().to(torch.int8)
    return {f"{name}.weight": stored, f"{name}.weight_scale": scales.bfloat16()}


def int4_groups(name: str, weight: torch.Tensor) -> Mapping[str, torch.Tensor]:
    pack_to_int32 = import_module("compressed_tensors.compressors").pack_to_int32
    groups = weight.view(weight.shape[0], -1, BLOCK)
    scales = groups.abs().amax(-1) / 7
    stored = (groups / scales[..., None]).round().clamp(-8, 7).view(weight.shape).to(torch.int8)
    return {
        f"{name}.weight_packed": pack_to_int32(stored, 4),
        f"{name}.weight_scale": scales.bfloat16(),
        f"{name}.weight_shape": torch.tensor(weight.shape),
    }


def unchanged(name: str, weight: torch.Tensor) -> Mapping[str, torch.Tensor]:
    return {f"{name}.weight": weight}


FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK]}


def compressed(layout: str, **of_weights: object) -> dict[str, Any]:
    weights = {"type": "int", "symmetric": True, "dynamic": False} | of_weights
    group = {"targets": ["Linear"], "weights": weights}
    return {
        "quant_method": "compressed-tensors",
        "format": layout,
        "quantization_status": "compressed",
        "ignore": ["lm_head"],
        "config_groups": {"group_0": group},
    }


INT8 = compressed("int-quantized", num_bits=8, strategy="channel")
INT4 = compressed("pack-quantized", num_bits=4, strategy="group", group_size=BLOCK)


def base_model() -> PreTrainedModel:
    model: PreTrainedModel = random_model(random_config("qwen2-mha-tied")).bfloat16()
    return model


def write(folder: Path, stored: object, store: Store) -> Path:
    """Write a checkpoint whose linear layers are stored in a way of their own."""
    base_model().save_pretrained(folder)
    file, config = folder / "model.safetensors", folder / "config.json"
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(file).items():
        if name.endswith("_proj.weight"):
            tensors |= store(name.removesuffix(".weight"), tensor.float())
        else:
            tensors[name] = tensor
    save_file({n: t.contiguous() for n, t in tensors.items()}, file, metadata={"format": "pt"})
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": stored}))
    return folder


@pytest.mark.parametrize(
    ("stored", "store", "error"),
    [
        pytest.param(FP8, fp8_blocks, 0.04, id="fp8"),
        pytest.param(INT8, int8_rows, 0.01, id="int8", marks=needs_compressed_tensors),
        pytest.param(INT4, int4_groups, 0.12, id="int4", marks=needs_compressed_tensors),
    ],
)
def test_a_checkpoint_is_dequantized(
    tmp_path: Path, stored: object, store: Store, error: float
) -> None:
    model = load_model(LoadOptions(write(tmp_path, stored, store), "cpu", "auto"))
    loaded, expected = dict(model.named_parameters()), dict(base_model().named_parameters())
    assert loaded.keys() == expected.keys()
    assert {p.dtype for p in loaded.values()} == {torch.bfloat16}
    for name, parameter in expected.items():
        difference = (loaded[name].float() - parameter.float()).norm()
        assert difference <= error * parameter.float().norm(), name


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "find_spec", lambda _name: None)
    with pytest.raises(LoadError, match=r"sizeup-inference\[quantized\]"):
        load_model(LoadOptions(write(tmp_path, INT8, int8_rows), "cpu", "auto"))


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "awq"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"bits": 4}, "unknown"),
    ],
)
def test_other_kinds_are_rejected_by_name(tmp_path: Path, stored: object, name: str) -> None:
    with pytest.raises(LoadError, match=name):
        load_model(LoadOptions(write(tmp_path, stored, unchanged), "cpu", "auto"))


@pytest.mark.parametrize(
    ("stored", "own", "dtype", "form", "expected"),
    [
        (None, "bfloat16", "auto", None, 1000),
        (None, "bfloat16", "float32", None, 2000),
        (None, "float32", "bfloat16", None, 500),
        (None, "float32", "auto", Format.INT8, 325),
        (None, "bfloat16", "auto", Format.INT4, 450),
        ({"quant_method": "fp8"}, "bfloat16", "auto", None, 2000),
        ({"quant_method": "fp8"}, "bfloat16", "auto", Format.INT8, 1300),
        (
            {"config_groups": {"group_0": {"weights": {"num_bits": 4}}}},
            "bfloat16",
            "auto",
            None,
            4000,
        ),
    ],
)
def test_loaded_weights_take_the_bytes_of_what_they_become(
    stored: dict[str, Any] | None, own: str, dtype: str, form: Format | None, expected: int
) -> None:
    config = random_config("qwen2-mha-tied")
    config.dtype = getattr(torch, own)
    if stored is not None:
        config.quantization_config = stored
    assert checkpoints.loaded_bytes(1000, config, dtype, form) == expected
