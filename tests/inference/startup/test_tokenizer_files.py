"""The files of a tokenizer."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from sizeup_inference.startup.model_info import capabilities, read_added_tokens, read_template
from sizeup_inference.text.hf_tokenizer import HuggingFaceTokenizer

TOY = Path(__file__).parents[3] / "models" / "toy" / "toy-0.5m"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ messages }}", ("completion",)),
        ((TOY / "chat_template.jinja").read_text(encoding="utf-8"), ("completion", "tools")),
        ("{{ '<think>' }}", ("completion", "thinking")),
        ("{% if tools %}{{ enable_thinking }}{% endif %}", ("completion", "tools", "thinking")),
        ("{{ toolshed }}", ("completion",)),
        ("", ("completion",)),
    ],
)
def test_capabilities_are_read_from_the_template(template: str, expected: tuple[str, ...]) -> None:
    assert capabilities(template) == expected


def test_the_template_is_the_one_that_transformers_uses() -> None:
    used = HuggingFaceTokenizer(AutoTokenizer.from_pretrained(TOY)).template
    assert read_template(TOY) == used


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"chat_template": "{{ messages }}"}, "{{ messages }}"),
        ({}, ""),
        ({"chat_template": None}, ""),
        ({"chat_template": [{"name": "default", "template": "x"}]}, ""),
    ],
)
def test_older_folders_have_it_in_the_tokenizers_configuration(
    tmp_path: Path, config: object, expected: str
) -> None:
    assert read_template(tmp_path) == ""
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert read_template(tmp_path) == expected


def test_added_tokens_are_read_from_either_file(tmp_path: Path) -> None:
    assert read_added_tokens(tmp_path) == frozenset()
    assert "<|im_end|>" in read_added_tokens(TOY)
    config = {"added_tokens_decoder": {"7": {"content": "<|fim_middle|>", "special": True}}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert read_added_tokens(tmp_path) == {"<|fim_middle|>"}
