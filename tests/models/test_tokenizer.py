"""The tokenizer round-trips any text and handles special tokens like Qwen's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from sizes import SIZES
from tokenizer import VOCABULARY
from words import COLOURS, NAMES, WORDS, WORDS_ZH

TEXTS = (
    "Hello world 123",
    "héllo, naïve café",
    "你好，世界！",
    "family 👨‍👩‍👧‍👦 and flag 🇨🇳",
    "tabs\tand\n\n newlines \r\n and   spaces  ",
    "\x00\x01\x7f control",
    "العربية עברית हिन्दी",
    "<think>x</think><tool_call>{}</tool_call>",
    "",
)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_round_trips(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_every_byte_has_a_token(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "".join(chr(point) for point in (*range(256), 0x7FF, 0xFFFD, 0x10FFFF))
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_text_is_nfc_normalized(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer("e\u0301")["input_ids"] == tokenizer("\u00e9")["input_ids"]


def test_task_words_and_digits_are_single_tokens(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    for word in (*WORDS, *COLOURS, *NAMES):
        assert len(tokenizer(word)["input_ids"]) == 1
        assert len(tokenizer(" " + word)["input_ids"]) == 1
    assert all(len(tokenizer(word)["input_ids"]) == 1 for word in WORDS_ZH)
    assert len(tokenizer("2048")["input_ids"]) == 4


def test_special_tokens_are_skipped_and_markup_is_kept(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|endoftext|>"
    for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "<think>"):
        assert len(tokenizer(token)["input_ids"]) == 1
    ids = tokenizer("<|im_start|>a<think>b<|im_end|>")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a<think>b"


def test_special_tokens_in_text_require_split_special_tokens(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """As with Qwen, user text must be encoded with `split_special_tokens` to be treated as text."""
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert start in tokenizer("say <|im_start|>")["input_ids"]
    plain = tokenizer("say <|im_start|>", split_special_tokens=True)["input_ids"]
    assert start not in plain
    assert tokenizer.decode(plain) == "say <|im_start|>"


def test_all_folders_have_the_same_small_tokenizer(ladder: Path) -> None:
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert len({(ladder / name / file).read_bytes() for name in SIZES}) == 1
    content = json.loads((ladder / "toy-2m" / "tokenizer.json").read_text(encoding="utf-8"))
    added = [token["content"] for token in content["added_tokens"]]
    assert added[:3] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert len(content["model"]["vocab"]) + len(added) <= VOCABULARY
