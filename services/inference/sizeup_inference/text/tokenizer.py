"""What the HTTP side needs of a tokenizer. Standard library only, so that fakes need no files."""

from dataclasses import dataclass
from typing import Protocol

from sizeup_wire.generate import ChatPrompt


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt in token ids."""

    token_ids: tuple[int, ...]
    rendered: str | None = None
    """What the chat template made; None for a prompt without one."""
    is_thinking: bool = False
    """The template has opened <think>, so the answer begins inside it."""


class Tokenizer(Protocol):
    """Turn prompts into token ids, and token ids into bytes.

    The encode methods may take seconds and belong in a worker thread; the others are table
    look-ups. All are thread-safe.
    """

    def encode_chat(self, prompt: ChatPrompt) -> EncodedPrompt:
        """Render and encode; raise PromptError when the template refuses the messages."""

    def encode_text(self, text: str) -> EncodedPrompt:
        """Encode text in which special tokens count as such."""

    def token_bytes(self, token_id: int) -> bytes:
        """Return a token's own bytes, a special token's name included."""

    def text_bytes(self, token_id: int) -> bytes:
        """Return what a token adds to the text: its bytes, or none for a special token."""
