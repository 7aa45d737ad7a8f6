"""The tokenizer interface, and text from its tokens. Standard library only: fakes need no files."""

import codecs
from dataclasses import dataclass
from typing import Protocol

from sizeup_inference.text.infill import Infill
from sizeup_wire.generate import ChatPrompt


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt as token ids."""

    token_ids: tuple[int, ...]
    rendered: str | None = None
    """Text of the chat template; None for a prompt without one."""
    is_thinking: bool = False
    """The rendered text ends inside <think>, so the output starts there."""
    appended: int = 0
    """How many tokens at the end the tokenizer has added to the text."""
    stop_token_ids: frozenset[int] = frozenset()
    """Tokens that end the output of this prompt, beside those of the model."""


class Tokenizer(Protocol):
    """Encodes prompts and decodes single tokens.

    The encode methods may take seconds and belong in a worker thread; the others are table
    lookups. All are thread-safe.
    """

    @property
    def longest_token(self) -> int:
        """Bytes of the longest token."""

    @property
    def infill(self) -> Infill | None:
        """Encodes infill prompts; None for a vocabulary without tokens for it."""

    def encode_chat(self, prompt: ChatPrompt) -> EncodedPrompt:
        """Render and encode; raise PromptError when the template rejects the messages."""

    def encode_text(self, text: str) -> EncodedPrompt:
        """Encode text, special tokens included."""

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; a special token's are its name."""

    def is_special(self, token_id: int) -> bool:
        """Whether a token controls the model, so that it is no text."""


class TextStream:
    """The text of one choice in whole characters; it starts on one, since the prompt ends on one.

    A token of a byte-level BPE is a sequence of bytes, so an incremental UTF-8 decoder gives the
    same text as decoding all ids at once. tokenizers' DecodeStream is unsuitable: it cannot be
    flushed at the end of the output, raises on invalid UTF-8, and does not expose the bytes of a
    token, which logprobs need.
    """

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
