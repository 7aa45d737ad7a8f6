"""Parameters and number format of weight files, by their headers."""

from typing import Any

import pytest

from sizeup_inference.startup.stored_weights import count_parameters, storage_format
from sizeup_store.weights import StoredTensor

GPTQ = {"quant_method": "gptq", "bits": 4}
AWQ = {"quant_method": "awq", "bits": 4}
FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
BNB = {"quant_method": "bitsandbytes", "load_in_8bit": True}
W8A8 = {
    "quant_method": "compressed-tensors",
    "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
}


def tensor(name: str, dtype: str, *shape: int) -> StoredTensor:
    return StoredTensor(name, dtype, shape)


@pytest.mark.parametrize(
    ("dtypes", "quantization", "stored_as"),
    [
        (["BF16", "F32"], None, "BF16"),
        (["F32"], None, "F32"),
        (["F16"], {}, "F16"),
        (["I32", "F16"], GPTQ, "GPTQ-INT4"),
        (["I32", "F16"], AWQ, "AWQ-INT4"),
        (["I32"], {"quant_method": "gptq", "bits": 8}, "GPTQ-INT8"),
        (["F8_E4M3", "BF16"], FP8, "FP8"),
        (["I8"], BNB, "BITSANDBYTES-INT8"),
        (["F8_E4M3"], W8A8, "COMPRESSED-TENSORS-FP8"),
        (["BF16"], "not an object", "BF16"),
    ],
)
def test_the_format_is_that_of_most_weights_or_the_quantization(
    dtypes: list[str], quantization: object, stored_as: str
) -> None:
    tensors = [tensor(d, d, 100 - i) for i, d in enumerate(dtypes)]
    assert storage_format(tensors, {"quantization_config": quantization}) == stored_as


@pytest.mark.parametrize(
    ("tensors", "config", "parameters"),
    [
        ([tensor("model.norm.weight", "BF16", 8), tensor("w", "BF16", 3, 4)], {}, 20),
        ([tensor("embed", "F32", 5, 2), tensor("lm_head.weight", "F32", 5, 2)], {}, 20),
        (
            [tensor("embed", "F32", 5, 2), tensor("lm_head.weight", "F32", 5, 2)],
            {"tie_word_embeddings": True},
            10,
        ),
        (
            [
                tensor("q.qweight", "I32", 2, 16),
                tensor("q.qzeros", "I32", 1, 2),
                tensor("q.scales", "F16", 1, 16),
                tensor("q.g_idx", "I32", 16),
                tensor("norm.weight", "F16", 16),
            ],
            {"quantization_config": GPTQ},
            2 * 16 * 8 + 16,
        ),
        (
            [tensor("w.weight", "F8_E4M3", 4, 4), tensor("w.weight_scale_inv", "F32", 1, 1)],
            {"quantization_config": FP8},
            16,
        ),
        ([tensor("w.weight", "I8", 4, 4)], {"quantization_config": BNB}, 16),
    ],
    ids=["plain", "untied", "tied", "packed", "fp8", "int8"],
)
def test_parameters_are_counted(
    tensors: list[StoredTensor], config: dict[str, Any], parameters: int
) -> None:
    assert count_parameters(tensors, config) == parameters
