"""Tensors and vocabulary of a model folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from sizeup_inference.startup.model_details import read_details
from sizeup_store.weights import WeightsError

TOY = Path(__file__).parents[3] / "models" / "toy" / "toy-0.5m"


def arrays(folder: Path) -> list[Any]:
    lines = read_details(folder).split(b"\n")
    assert lines.pop() == b""
    return [json.loads(line) for line in lines]


def with_tokenizer(folder: Path, tokenizer: object) -> Path:
    shutil.copy(TOY / "model.safetensors", folder)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def test_the_tokens_are_those_of_the_tokenizer() -> None:
    tensors, tokens, merges, types = arrays(TOY)
    tokenizer = AutoTokenizer.from_pretrained(TOY)
    assert tokens == tokenizer.convert_ids_to_tokens(list(range(len(tokens))))
    assert len(tokens) == len(types) == len(tokenizer)
    special = [tokens[i] for i, kind in enumerate(types) if kind == 3]
    assert special == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert all(len(merge.split(" ")) == 2 for merge in merges)
    embedding = {"name": "model.embed_tokens.weight", "type": "F16", "shape": [1152, 128]}
    assert tensors[0] == embedding


def test_pairs_of_merges_and_unused_ids(tmp_path: Path) -> None:
    model = {"vocab": {"a": 0, "b": 1, "ab": 3}, "merges": [["a", "b"]]}
    added = [{"id": 4, "content": "<x>", "special": False}]
    folder = with_tokenizer(tmp_path, {"model": model, "added_tokens": added})
    _, tokens, merges, types = arrays(folder)
    assert tokens == ["a", "b", "[PAD2]", "ab", "<x>"]
    assert types == [1, 1, 5, 1, 4]
    assert merges == ["a b"]


def test_a_folder_without_a_tokenizer_has_no_tokens(tmp_path: Path) -> None:
    shutil.copy(TOY / "model.safetensors", tmp_path)
    tensors, *others = arrays(tmp_path)
    assert tensors
    assert others == [[], [], []]


@pytest.mark.parametrize(
    "tokenizer",
    [
        {"model": {"vocab": [["a", -1.0]], "merges": []}},
        {"model": {"vocab": {"a": 0}}},
        {"model": {"vocab": {"a": 2**40}, "merges": []}},
        {"model": {"vocab": {"a": -1}, "merges": []}},
        {"model": {"vocab": {}, "merges": [7]}},
        {"added_tokens": [{"id": 1}]},
    ],
)
def test_another_tokenizer_is_rejected(tmp_path: Path, tokenizer: object) -> None:
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        read_details(with_tokenizer(tmp_path, tokenizer))
