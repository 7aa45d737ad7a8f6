"""Trains the byte-level BPE of the toy models and writes it as a Hugging Face tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from chat_tasks import GREETINGS
from mixture import KINDS, item
from tasks import Item
from words import LEXICON

# 256 bytes, about 890 merges (one token for every word of the tasks) and the added tokens. Training
# ends five merges short of it; those rows of the embedding stay unused, as in Qwen.
VOCABULARY = 1152
SAMPLES_PER_KIND = 3000  # every word occurs at least about fifty times
CONTEXT = 2048
# Qwen2's split pattern. It splits numbers into digits, so that sums are learned column by column.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKUP = (
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
)  # added but not special, as in Qwen
# The fixed text around the tools in the chat template
PREAMBLE = "# Tools\n\n<tools>\n\n</tools>\n<tool_response>\n\n</tool_response>"
FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def _texts(seed: int) -> Iterator[str]:
    rng = Random(seed)
    for kind in KINDS:
        for _ in range(SAMPLES_PER_KIND):
            item_ = item(kind, rng, "train")

            # Chinese clauses would merge across word boundaries; LEXICON contains their words.
            if not kind.endswith("-zh"):
                yield from (str(message["content"]) for message in item_.messages)
                yield item_.answer
            yield from (json.dumps(tool, ensure_ascii=False) for tool in item_.tools)
    for text in (
        *LEXICON,
        "system",
        "user",
        "assistant",
        PREAMBLE,
        *(text for pair in GREETINGS for text in pair),
    ):
        yield from [text, " " + text] * 1000


def train_tokenizer(seed: int) -> Tokenizer:
    """Train the BPE on the training split. Every byte is an entry, so any text round-trips."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL) - len(MARKUP),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed), trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in MARKUP])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json, its config and the chat template, as AutoTokenizer expects them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config, indent=2) + "\n", encoding="utf-8"
    )
    (folder / "chat_template.jinja").write_bytes(TEMPLATE.read_bytes())


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the tokenizer files to another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_bytes((source / name).read_bytes())


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer with AutoTokenizer."""
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return loaded


def render(tokenizer: PreTrainedTokenizerBase, item: Item, *, with_answer: bool) -> str:
    """Apply the chat template to an item, with its answer or with the generation prompt."""
    messages = list(item.messages)
    if with_answer:
        messages.append({"role": "assistant", "content": item.answer})
    text = tokenizer.apply_chat_template(
        messages,
        tools=list(item.tools) or None,
        tokenize=False,
        add_generation_prompt=not with_answer,
    )
    return str(text)
