"""Text from token ids, one token at a time, never half a character. Pure.

A byte-level BPE token is a run of bytes, so an incremental UTF-8 decoder gives exactly what
decoding all ids at once gives. tokenizers' DecodeStream is not used: it cannot be flushed at the
end of an answer, raises on byte sequences that are not UTF-8, and knows no token's bytes, which
logprobs need.
"""

import codecs

from sizeup_inference.text.tokenizer import Tokenizer


class TextStream:
    """The text of one choice."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Begin at the start of an answer: the prompt ends on a whole character."""
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int) -> str:
        """Return the characters this token completes."""
        return self._decoder.decode(self._tokenizer.text_bytes(token_id))

    def flush(self) -> str:
        """Return what stands for an incomplete character at the end: U+FFFD, or nothing."""
        return self._decoder.decode(b"", final=True)


def piece_table() -> dict[int, str]:
    """Make the translation table of `piece_bytes`, from GPT-2's byte-level alphabet.

    Every byte has a character there: its own when that is printable, else one from U+0100 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    outside = dict.fromkeys(others, _OUTSIDE)
    return outside | {256 + i: chr(byte) for i, byte in enumerate(others)}


_OUTSIDE = "\uffff"
"""Stands for characters that the alphabet does not have; no byte encodes as it."""


def piece_bytes(piece: str, table: dict[int, str]) -> bytes:
    """Turn a vocabulary entry into bytes; one outside the alphabet stands for its own text."""
    try:
        return piece.translate(table).encode("latin-1")
    except UnicodeEncodeError:
        return piece.encode()
