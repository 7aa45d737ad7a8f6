"""What weight files hold, by their headers and the quantization_config of config.json. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sizeup_store.weights import StoredTensor

_AUXILIARY = frozenset(
    {
        "qzeros", "scales", "g_idx", "weight_scale", "weight_scale_inv", "weight_zero_point",
        "weight_shape", "input_scale", "absmax", "quant_map", "nested_absmax", "nested_quant_map",
    }
)  # fmt: skip
"""Last parts of names that GPTQ, AWQ, FP8, compressed-tensors and bitsandbytes store beside the
weights."""

_PACKED_BITS = {"I32": 32, "U8": 8, "I8": 8}
"""Bits of the integers that quantized weights are packed into."""


def count_parameters(tensors: Iterable[StoredTensor], config: Mapping[str, Any]) -> int:
    """Return the number of weights: tied ones once, packed ones by the bits of each."""
    kept = [t for t in tensors if t.name.rpartition(".")[2] not in _AUXILIARY]
    if config.get("tie_word_embeddings"):
        kept = [t for t in kept if t.name != "lm_head.weight"]
    bits = _bits(_quantization(config))
    return sum(math.prod(t.shape) * _weights_per_number(t, bits) for t in kept)


def storage_format(tensors: Iterable[StoredTensor], config: Mapping[str, Any]) -> str:
    """Return ModelInfo.stored_as: the most frequent dtype, or the quantization."""
    quantization = _quantization(config)
    method, bits = str(quantization.get("quant_method") or "").upper(), _bits(quantization)
    if not method:
        numbers: Counter[str] = Counter()
        for tensor in tensors:
            numbers[tensor.dtype] += math.prod(tensor.shape)
        return max(numbers, key=lambda dtype: numbers[dtype])
    if bits is None:  # FP8 has it in its name
        return method
    kind = "FP" if _scheme(quantization).get("type") == "float" else "INT"
    return f"{method}-{kind}{bits}"


def _weights_per_number(tensor: StoredTensor, bits: int | None) -> int:
    return _PACKED_BITS.get(tensor.dtype, 0) // bits or 1 if bits else 1


def _quantization(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("quantization_config")
    return found if isinstance(found, dict) else {}


def _bits(quantization: Mapping[str, Any]) -> int | None:
    """Return the bits of a weight; None if they are not stated."""
    if quantization.get("load_in_4bit"):
        return 4
    if quantization.get("load_in_8bit"):
        return 8
    bits = quantization.get("bits") or _scheme(quantization).get("num_bits")
    return bits if isinstance(bits, int) and bits > 0 else None


def _scheme(quantization: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return how compressed-tensors stores the weights of its first group of layers."""
    groups = quantization.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, dict) else None
    weights = first.get("weights") if isinstance(first, dict) else None
    return weights if isinstance(weights, dict) else {}
