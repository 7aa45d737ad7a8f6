"""Incremental detokenization into complete characters. Pure.

A token of a byte-level BPE is a sequence of bytes, so an incremental UTF-8 decoder gives the same
text as decoding all ids at once. tokenizers' DecodeStream is unsuitable: it cannot be flushed at
the end of the output, raises on invalid UTF-8, and does not expose the bytes of a token, which
logprobs need.
"""

import codecs

from sizeup_inference.text.tokenizer import Tokenizer


class TextStream:
    """The text of one choice, which starts on a character boundary: the prompt ends on one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """Return the characters that this token completes."""
        if self._tokenizer.is_special(token_id):
            return ""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def flush(self) -> str:
        """Return U+FFFD for an incomplete character at the end, else nothing."""
        return self._decoder.decode(b"", final=True)
