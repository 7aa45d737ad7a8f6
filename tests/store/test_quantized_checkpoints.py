"""Checkpoints that are refused before their weights are read."""

import json
from pathlib import Path

import pytest

from sizeup_store.quantized_checkpoints import refusal, unsupported_method
from sizeup_store.weights import WeightsError, check_structure
from store.test_weights import cached_model, whole_model


@pytest.mark.parametrize(
    ("model", "instead"),
    [
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen/Qwen2.5-7B-Instruct with quantization int4"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "Qwen/Qwen2.5-7B-Instruct with quantization int4"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", "Qwen/Qwen2.5-7B-Instruct with quantization int8"),
        ("Qwen/Qwen3-8B-GGUF", "Qwen/Qwen3-8B with quantization int4"),
        ("Qwen/Qwen3-8B-MLX-8bit", "Qwen/Qwen3-8B with quantization int8"),
        ("someone/Qwen3-8B-bnb-4bit", "Qwen/Qwen3-8B with quantization int4"),
        ("someone/Qwen3-8B-unsloth-bnb-4bit", "Qwen/Qwen3-8B with quantization int4"),
        ("someone/Qwen3-8B-quantized.w4a16", "Qwen/Qwen3-8B with quantization int4"),
        (
            "someone/Llama-2-7B-AWQ",
            "the unquantized model that it was made from with quantization int4",
        ),
        ("someone/mine", "the unquantized model that it was made from with quantization int4"),
    ],
)
def test_the_error_names_what_can_be_served(model: str, instead: str) -> None:
    assert f"serve {instead} instead" in refusal(model, "AWQ")


@pytest.mark.parametrize(
    ("config", "method"),
    [
        ({}, None),
        ({"quantization_config": None}, None),
        ({"quantization_config": {"quant_method": "fp8"}}, None),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, None),
        ({"quantization_config": {"quant_method": "awq"}}, "awq"),
        ({"quantization_config": {"quant_method": "gptq"}}, "gptq"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "bitsandbytes"),
        ({"quantization_config": {"bits": 4}}, "unknown"),
        ({"quantization": {"bits": 4, "group_size": 64}}, "mlx"),
        ({"quantization": {"bits": 4}, "quantization_config": {"bits": 4}}, "mlx"),
    ],
)
def test_methods_that_transformers_does_not_dequantize(
    config: dict[str, object], method: str | None
) -> None:
    assert unsupported_method(config) == method


def test_a_cached_checkpoint_is_refused_by_its_id(tmp_path: Path) -> None:
    snapshot = cached_model(tmp_path)
    config = snapshot / "config.json"
    config.unlink()
    config.write_text(json.dumps({"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(WeightsError, match=r"Qwen/tiny: GPTQ"):
        check_structure(snapshot)


def test_a_folder_of_gguf_files_is_refused_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "Qwen3-8B-GGUF"
    folder.mkdir()
    (folder / "Qwen3-8B-Q4_K_M.gguf").write_bytes(b"GGUF")
    with pytest.raises(WeightsError, match="serve Qwen/Qwen3-8B with"):
        check_structure(folder)


def test_gguf_files_beside_safetensors_do_not_matter(tmp_path: Path) -> None:
    folder = whole_model(tmp_path)
    (folder / "other.gguf").write_bytes(b"GGUF")
    check_structure(folder)
