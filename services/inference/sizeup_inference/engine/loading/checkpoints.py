"""Checkpoints whose weights are stored quantized: loading them in the model's own dtype."""

from importlib.util import find_spec

import torch
from transformers import PretrainedConfig

from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.quantization.formats import Format

_COMPRESSED_TENSORS, _FP8 = "compressed-tensors", "fp8"

_QUANTIZED_SHARE = {Format.INT8: 0.65, Format.INT4: 0.45}
"""Of the bytes of bfloat16 weights, with an embedding that is not quantized."""


def dequantize_on_load(config: PretrainedConfig) -> None:
    """Let from_pretrained dequantize a quantized checkpoint; a plain one is left as it is.

    Then every kernel and every device computes it, and weights can be quantized on load like any
    others. Raises LoadError for a method that would need another library.
    """
    stored = getattr(config, "quantization_config", None)
    if not stored:
        return
    method = stored.get("quant_method")
    if method not in (_COMPRESSED_TENSORS, _FP8):
        name = method or "an unknown quantization"
        raise LoadError(f"weights stored by {name} are not supported")
    if method == _COMPRESSED_TENSORS and find_spec("compressed_tensors") is None:
        raise LoadError(
            "compressed-tensors weights need a library: install sizeup-inference[quantized]"
        )
    config.quantization_config = {**stored, "dequantize": True}


def loaded_bytes(file_bytes: int, config: PretrainedConfig, dtype: str, form: Format | None) -> int:
    """Return what weights take once they are loaded, by the bytes of their files.

    `dtype` is auto or that of the loaded weights; `form` the one they are quantized to on load.
    """
    own = torch_dtype(getattr(config, "dtype", None) or torch.float32)
    loaded = own if dtype == "auto" else torch_dtype(dtype)
    weights = file_bytes * 8 / _stored_bits(config, own)
    if form is not None:
        return int(weights * torch.bfloat16.itemsize * _QUANTIZED_SHARE[form])
    return int(weights * loaded.itemsize)


def torch_dtype(dtype: str | torch.dtype) -> torch.dtype:
    found = getattr(torch, str(dtype).removeprefix("torch."))
    assert isinstance(found, torch.dtype)
    return found


def _stored_bits(config: PretrainedConfig, own: torch.dtype) -> int:
    """Return the bits of a weight in the files."""
    stored = getattr(config, "quantization_config", None)
    if not stored:
        return own.itemsize * 8
    groups = (stored.get("config_groups") or {}).values()
    bits = [(group.get("weights") or {}).get("num_bits") for group in groups]
    return min((found for found in bits if found), default=8)
