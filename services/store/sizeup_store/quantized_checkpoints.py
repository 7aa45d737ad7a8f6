"""Which quantized checkpoints can be loaded, and what to serve in place of the others. Pure."""

import re
from collections.abc import Mapping
from typing import Any

LOADABLE = frozenset({"fp8", "compressed-tensors"})
"""Values of quant_method that transformers dequantizes on every device: FP8 by itself, the other
with one library. AWQ and GPTQ need gptqmodel, which compiles kernels for one version of torch."""

_SUFFIX = re.compile(
    r"[-_.](?:(?:awq|gptq|gguf|exl[23]|mlx|bnb|hqq|aqlm|quark)(?:[-_.][a-z0-9]+)*"
    r"|int[48]|[48]-?bits?|(?:quantized[-_.])?w[48]a(?:8|16)|nvfp4|mxfp4|mxfp8|unsloth-bnb-4bit)$",
    re.IGNORECASE,
)
"""How names of quantized checkpoints end: -AWQ, -GPTQ-Int4, -GGUF, -bnb-4bit, -w4a16."""

_EIGHT_BITS = re.compile(r"int8|8-?bits?|w8a", re.IGNORECASE)


def unsupported_method(config: Mapping[str, Any]) -> str | None:
    """Return the method of a checkpoint that cannot be loaded; None for any other config.json."""
    if isinstance(config.get("quantization"), dict):
        return "mlx"
    stored = config.get("quantization_config")
    if not isinstance(stored, dict) or not stored:
        return None
    method = str(stored.get("quant_method") or "unknown")
    return None if method in LOADABLE else method


def refusal(model: str, form: str) -> str:
    """Return the error for a model stored in a form that is not loaded: AWQ, GGUF, ...

    It names the model to serve instead: quantized forms of a Qwen model have its name.
    """
    plain = _SUFFIX.sub("", model)
    bits = 8 if _EIGHT_BITS.search(model.removeprefix(plain)) else 4
    name = plain.rpartition("/")[2]
    is_named = plain != model and (name.startswith("Qwen") or plain.startswith("Qwen/"))
    instead = f"Qwen/{name}" if is_named else "the unquantized model that it was made from"
    return (
        f"{model}: {form} weights are not supported; "
        f"serve {instead} with quantization int{bits} instead"
    )
