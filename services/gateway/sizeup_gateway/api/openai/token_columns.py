"""Log-probabilities as /v1/completions lists them: four lists, an entry a token in each. Pure."""

import codecs
from collections.abc import Mapping, Sequence

from sizeup_gateway.responses.framing import Json
from sizeup_gateway.responses.json_bytes import WrittenArray, joined_array
from sizeup_wire.events import PromptToken, TokenLogprob, TopLogprob

Token = PromptToken | TokenLogprob
Columns = Mapping[str, Sequence[object]]

_NAMES = ("tokens", "token_logprobs", "top_logprobs", "text_offset")


class Offset:
    """Counts the characters of a text; a token may be part of one."""

    def __init__(self) -> None:
        """Begin at the text's first character."""
        self._characters = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._answers = False

    def before(self, token: Token) -> int:
        """Take the next token and return where in the text it begins."""
        if not self._answers and isinstance(token, TokenLogprob):
            # A prompt that was cut inside a character ends on U+FFFD; the answer begins anew.
            self._answers = True
            self._characters += len(self._decoder.decode(b"", final=True))
        begins = self._characters
        self._characters += len(self._decoder.decode(bytes(token.bytes)))
        return begins

    def go_to(self, other: "Offset") -> None:
        """Stand where another one does, which has taken the same prompt."""
        self._characters = other._characters
        self._decoder.setstate(other._decoder.getstate())


def to_columns(tokens: Sequence[Token], offset: Offset) -> Columns:
    """Return the lists of some tokens, which follow those that `offset` has taken."""
    return {
        "tokens": [_name(token) for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [_top(token) for token in tokens],
        "text_offset": [offset.before(token) for token in tokens],
    }


class WrittenColumns:
    """The lists of a text that grows."""

    def __init__(self) -> None:
        """Begin empty."""
        self.arrays: Mapping[str, WrittenArray[object]] = {name: WrittenArray() for name in _NAMES}

    def extend(self, columns: Columns) -> int:
        """Append to each list and return the bytes that takes."""
        return sum(self.arrays[name].extend(columns[name]) for name in _NAMES)


def joined_columns(*parts: WrittenColumns) -> Json:
    """Return the lists of several texts that follow one another."""
    return {name: joined_array(*(part.arrays[name] for part in parts)) for name in _NAMES}


def _top(token: Token) -> dict[str, float] | None:
    """Return the likeliest tokens and the chosen one, which need not be among them.

    None for the first token of a prompt.
    """
    if token.logprob is None:
        return None
    return {_name(top): top.logprob for top in token.top} | {_name(token): token.logprob}


def _name(token: Token | TopLogprob) -> str:
    r"""Return a token's text, or "bytes:\xe4\xbd" for part of a character, as OpenAI does.

    Two such parts are two names: readers look in top_logprobs for the token they have.
    """
    if "\ufffd" not in token.token:
        return token.token
    own = bytes(token.bytes)
    try:
        return own.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in own)
