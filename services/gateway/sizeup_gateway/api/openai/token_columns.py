"""Logprobs of /v1/completions: four lists with one entry per token. Pure."""

import codecs
from collections.abc import Mapping, Sequence

from sizeup_gateway.responses.framing import Json
from sizeup_gateway.responses.json_bytes import JsonArrayBuilder, join_arrays
from sizeup_wire.events import PromptToken, TokenLogprob, TopLogprob

Token = PromptToken | TokenLogprob
Columns = Mapping[str, Sequence[object]]

_NAMES = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


class TextOffset:
    """Counts the characters of a text; a token may be part of a character."""

    def __init__(self) -> None:
        self._characters = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._in_completion = False

    def advance(self, token: Token) -> int:
        """Add the next token and return its offset in characters."""
        if not self._in_completion and isinstance(token, TokenLogprob):
            # A prompt that ends within a character ends with U+FFFD; the completion starts anew.
            self._in_completion = True
            self._characters += len(self._decoder.decode(b"", final=True))
        start = self._characters
        self._characters += len(self._decoder.decode(bytes(token.bytes)))
        return start

    def copy_from(self, other: "TextOffset") -> None:
        """Continue after the same prompt as another choice."""
        self._characters = other._characters
        self._decoder.setstate(other._decoder.getstate())


def to_columns(tokens: Sequence[Token], offset: TextOffset) -> Columns:
    """Return the lists of the tokens that follow those added to `offset`."""
    return {
        "tokens": [_name(token) for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [_top(token) for token in tokens],
        "text_offset": [offset.advance(token) for token in tokens],
    }


class ColumnsBuilder:
    """The lists of a text that grows."""

    def __init__(self) -> None:
        self.arrays: Mapping[str, JsonArrayBuilder[object]] = {
            name: JsonArrayBuilder() for name in _NAMES
        }

    def extend(self, columns: Columns) -> int:
        """Append to each list and return the encoded size in bytes."""
        return sum(self.arrays[name].extend(columns[name]) for name in _NAMES)


def join_columns(*parts: ColumnsBuilder) -> Json:
    """Concatenate the lists of consecutive texts."""
    return {name: join_arrays(*(part.arrays[name] for part in parts)) for name in _NAMES}


def _top(token: Token) -> dict[str, float] | None:
    """Return the likeliest tokens and the chosen one, which may not be among them.

    None for the first token of a prompt.
    """
    if token.logprob is None:
        return None
    return {_name(top): top.logprob for top in token.top} | {_name(token): token.logprob}


def _name(token: Token | TopLogprob) -> str:
    r"""Return a token's text, or "bytes:\xe4\xbd" for part of a character, as OpenAI does.

    Names are unique: clients look up the chosen token in top_logprobs.
    """
    if "\ufffd" not in token.token:
        return token.token
    raw = bytes(token.bytes)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
