"""Checkpoints whose weights are stored quantized: loading them in the model's own dtype."""

from importlib.util import find_spec

from transformers import PretrainedConfig

from sizeup_inference.engine.loading.load_error import LoadError

_COMPRESSED_TENSORS, _FP8 = "compressed-tensors", "fp8"


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
