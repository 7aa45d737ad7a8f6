"""Sizes of texts in tokens, without encoding more of a text than is asked for. Blocking."""

from collections.abc import Callable

from sizeup_inference.text.tokenizer import Tokenizer
from sizeup_wire.long_prompts import characters

BUDGET = 2
"""Times the tokens that a prompt may have. A text that is measured in pieces has other tokens only
where it is cut, and a piece has thousands."""

_PIECE_CHARACTERS = 2**14
"""Encoded in 10 ms."""
_MARGIN = 120
"""Percent of the expected length."""


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
        return self._reach(len(text), size, lambda length: text[:length])

    def end(self, text: str, size: int) -> int:
        return self._reach(len(text), size, lambda length: text[len(text) - length :])

    def _reach(self, longest: int, size: int, part: Callable[[int], str]) -> int:
        """Encode parts that grow, by what the last one says about the next."""
        length = _PIECE_CHARACTERS
        while length < longest and (tokens := self._tokens(part(length))) < size:
            length = max(2 * length, _MARGIN * length * size // max(tokens, 1) // 100)
        return min(length, longest)

    def _tokens(self, text: str) -> int:
        """Added tokens count as one, wherever they stand: fewer are not possible."""
        encoded = self._tokenizer.encode_text(text)
        return len(encoded.token_ids) - encoded.appended
