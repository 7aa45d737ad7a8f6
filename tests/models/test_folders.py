"""The committed model folders: size, format, and loading with transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerBase

from grade import accuracy, graded_items, table
from mixture import GRADED
from sizes import SIZES
from tasks import split

PARAMETERS = {"toy-0.5m": 0.5e6, "toy-2m": 2e6, "toy-5m": 5e6}
MEGABYTES = 24


@pytest.mark.parametrize("name", SIZES)
def test_folder_loads_in_float32_with_the_named_parameters(ladder: Path, name: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(ladder / name, dtype="auto")
    assert type(model).__name__ == "Qwen2ForCausalLM"
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(PARAMETERS[name], rel=0.15)
    assert model.config.max_position_embeddings == 2048
    assert model.config.num_hidden_layers == SIZES[name].layers
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())


def test_weights_are_float16_and_fit_the_repository(ladder: Path) -> None:
    files = [ladder / name / "model.safetensors" for name in SIZES]
    assert sum(file.stat().st_size for file in files) <= MEGABYTES * 1e6
    for file in files:
        with safe_open(file, framework="pt") as stored:
            names = stored.keys()
            assert {stored.get_slice(name).get_dtype() for name in names} == {"F16"}


@pytest.mark.parametrize("name", SIZES)
def test_generation_stops_at_the_end_of_the_turn(
    ladder: Path, tokenizer: PreTrainedTokenizerBase, name: str
) -> None:
    config = GenerationConfig.from_pretrained(ladder / name)
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert config.eos_token_id == ends
    assert config.pad_token_id == tokenizer.pad_token_id


def test_graded_items_are_not_in_the_training_split() -> None:
    for kind in GRADED:
        assert {split(kind, it.subject) for it in graded_items(kind, 20)} == {"grade"}


def test_largest_model_copies_unseen_word_lists(
    ladder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    model = AutoModelForCausalLM.from_pretrained(ladder / "toy-5m", dtype="auto")
    assert accuracy(model, tokenizer, graded_items("copy", 20)) >= 80


def test_table_has_a_row_per_kind_and_the_mean() -> None:
    results = {"a": dict.fromkeys(GRADED, 50.0), "b": dict.fromkeys(GRADED, 75.0)}
    lines = table(results).splitlines()
    assert len(lines) == len(GRADED) + 3
    assert lines[-1] == "| **overall** | **50.0** | **75.0** |"
