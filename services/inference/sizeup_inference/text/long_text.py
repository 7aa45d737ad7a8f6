"""Sizes of texts in tokens, without encoding more of a text than is asked for. Blocking."""

from sizeup_inference.text.tokenizer import Tokenizer
from sizeup_wire.long_prompts import characters

BUDGET = 2
"""Times the tokens that a prompt may have. A text that is measured in pieces has other tokens only
where it is cut, and a piece has thousands."""

_PIECE_CHARACTERS = 2**14
"""Encoded in 10 ms."""
_GROWTH = 4


class TokenRuler:
    """Measures texts in tokens; `sizeup_wire.long_prompts.Ruler`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def size(self, text: str, enough: int) -> int:
        if len(text) > characters(enough + 1, self._tokenizer.longest_token):
            return enough + 1
        tokens = 0
        for start in range(0, len(text), _PIECE_CHARACTERS):
            tokens += self._tokens(text[start : start + _PIECE_CHARACTERS])
            if tokens > enough:
                break
        return tokens

    def start(self, text: str, size: int) -> int:
        """Encode from the start, in attempts that grow."""
        length = _PIECE_CHARACTERS
        while length < len(text) and self._tokens(text[:length]) < size:
            length *= _GROWTH
        return min(length, len(text))

    def end(self, text: str, size: int) -> int:
        length = _PIECE_CHARACTERS
        while length < len(text) and self._tokens(text[len(text) - length :]) < size:
            length *= _GROWTH
        return min(length, len(text))

    def _tokens(self, text: str) -> int:
        """Added tokens count as one, wherever they stand: fewer are not possible."""
        encoded = self._tokenizer.encode_text(text)
        return len(encoded.token_ids) - encoded.appended
