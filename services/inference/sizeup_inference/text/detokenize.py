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


def piece_table() -> dict[int, str]:
    """Return the translation table of `piece_bytes`, from GPT-2's byte-level alphabet.

    A printable byte maps to its own character, the others to characters from U+0100 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    outside = dict.fromkeys(others, _OUTSIDE)
    return outside | {256 + i: chr(byte) for i, byte in enumerate(others)}


_OUTSIDE = "\uffff"
"""Marks characters outside the alphabet; not encodable as Latin-1."""


def piece_bytes(piece: str, table: dict[int, str]) -> bytes:
    """Return the bytes of a vocabulary entry; one outside the alphabet is UTF-8 text."""
    try:
        return piece.translate(table).encode("latin-1")
    except UnicodeEncodeError:
        return piece.encode()
