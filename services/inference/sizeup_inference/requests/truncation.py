"""Encoding of prompts within the context length. Blocking: runs on the tokenizer thread."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from sizeup_inference.errors import (
    ContextLengthError,
    InvalidRequestError,
    PromptError,
    UnsupportedError,
)
from sizeup_inference.requests.resolve import ModelPrompt
from sizeup_inference.text.tokenizer import EncodedPrompt, Tokenizer
from sizeup_wire.generate import ChatPrompt, InfillPrompt, TextPrompt, TokenPrompt
from sizeup_wire.long_prompts import (
    CharacterRuler,
    characters,
    cut,
    exceeds,
    has_long_tools,
    input_too_long,
    too_long,
)

NUM_KEEP = 4
"""Ollama's default of num_keep, which covers the opening of a turn."""

_FEW_CHARACTERS = 2**16
"""Encoded and rendered in less than 50 ms."""
_USUAL_CHARACTERS = 8
"""Of a token, at most; a text of a language has 1 to 5. Below, a prompt is encoded as it is."""
_BUDGET = 2
"""Times the tokens that a prompt may have. A text that is measured in pieces has other tokens only
where it is cut, and a piece has thousands."""

_PIECE_CHARACTERS = 2**14
"""Encoded in 10 ms."""
_MARGIN = 120
"""Percent of the expected length."""

PromptT = TypeVar("PromptT", bound=ModelPrompt)


def encode(tokenizer: Tokenizer, prompt: ModelPrompt) -> EncodedPrompt:
    if isinstance(prompt, ChatPrompt):
        return tokenizer.encode_chat(prompt)
    if isinstance(prompt, TextPrompt):
        return tokenizer.encode_text(prompt.text)
    if isinstance(prompt, InfillPrompt):
        return _encode_infill(tokenizer, prompt)
    return EncodedPrompt(prompt.token_ids)


def _encode_infill(
    tokenizer: Tokenizer, prompt: InfillPrompt, limit: int | None = None
) -> EncodedPrompt:
    infill = tokenizer.infill
    if infill is None:
        raise UnsupportedError("the tokenizer has no infill tokens", param="prompt.suffix")
    return EncodedPrompt(infill.encode(prompt, limit), stop_token_ids=infill.ends)


def encode_to_fit(
    tokenizer: Tokenizer,
    prompt: ModelPrompt,
    limit: int,
    *,
    truncate: bool,
    num_keep: int | None = None,
    room: int = 0,
) -> EncodedPrompt:
    """Encode a prompt in at most `limit` tokens, or raise ContextLengthError.

    With `truncate` a conversation loses its oldest turns, but no system message and not its last
    message, and an infill prompt what is far from the gap; if that is not enough, and from other
    prompts, tokens are dropped behind the first `num_keep`. A prompt that is cut leaves `room`
    tokens below the limit, for the output.
    """
    fitting = _without_excess(tokenizer, prompt, limit, truncate=truncate)
    encoded = encode_nonempty(tokenizer, fitting)
    if len(encoded.token_ids) <= limit and fitting is prompt:
        return encoded
    if not truncate:
        raise _too_long(prompt, limit, len(encoded.token_ids))
    target = limit - room
    shorter = _shorten(tokenizer, fitting, target, encoded)
    if len(shorter.token_ids) <= limit:
        return shorter
    keep = min(NUM_KEEP if num_keep is None else num_keep, target - 1)
    ids = shorter.token_ids
    return replace(shorter, token_ids=ids[:keep] + ids[len(ids) - (target - keep) :])


def check_fits(tokenizer: Tokenizer, prompt: ModelPrompt, limit: int) -> None:
    """Raise ContextLengthError for a prompt of surely more than `limit` tokens."""
    _without_excess(tokenizer, prompt, limit, truncate=False)


def _without_excess(
    tokenizer: Tokenizer, prompt: PromptT, limit: int, *, truncate: bool
) -> PromptT:
    """Return the prompt itself unless it cannot fit; else cut it, or raise ContextLengthError.

    Encoding and rendering what is returned takes time in proportion to the context.
    """
    if not exceeds(prompt, CharacterRuler(), max(_FEW_CHARACTERS, _USUAL_CHARACTERS * limit)):
        return prompt
    ruler, budget = _TokenRuler(tokenizer), _BUDGET * limit
    if not exceeds(prompt, ruler, budget):
        return prompt
    if not truncate or has_long_tools(prompt, ruler, budget):
        raise _too_long(prompt, limit)
    return cut(prompt, ruler, budget)


def _too_long(prompt: ModelPrompt, limit: int, tokens: int | None = None) -> ContextLengthError:
    return ContextLengthError(too_long(prompt, limit, tokens), param="prompt")


def _shorten(
    tokenizer: Tokenizer, prompt: ModelPrompt, limit: int, encoded: EncodedPrompt
) -> EncodedPrompt:
    if isinstance(prompt, ChatPrompt):
        return _shorten_chat(tokenizer, prompt, limit)
    if isinstance(prompt, InfillPrompt):
        return _encode_infill(tokenizer, prompt, limit)
    return encoded


def encode_to_embed(
    tokenizer: Tokenizer, prompt: TextPrompt | TokenPrompt, limit: int, *, truncate: bool
) -> EncodedPrompt:
    """Encode a prompt in at most `limit` tokens, or raise ContextLengthError.

    With `truncate` it keeps its beginning, as in Ollama, and the tokens that the tokenizer appends:
    models with last-token pooling are trained to give the vector at their end-of-text token.
    """
    try:
        prompt = _without_excess(tokenizer, prompt, limit, truncate=truncate)
    except ContextLengthError:
        raise ContextLengthError(input_too_long(limit), param="prompts") from None
    encoded = encode_nonempty(tokenizer, prompt)
    ids, kept = encoded.token_ids, limit - encoded.appended
    if len(ids) <= limit:
        return encoded
    if not truncate or kept < 1:
        raise ContextLengthError(input_too_long(limit, len(ids)), param="prompts")
    return EncodedPrompt(ids[:kept] + ids[len(ids) - encoded.appended :])


def encode_nonempty(tokenizer: Tokenizer, prompt: ModelPrompt) -> EncodedPrompt:
    """Encode a prompt; raise InvalidRequestError when it has no tokens to predict from."""
    encoded = encode(tokenizer, prompt)
    if not encoded.token_ids:
        raise InvalidRequestError("the prompt is empty", param="prompt")
    return encoded


def _shorten_chat(tokenizer: Tokenizer, prompt: ChatPrompt, limit: int) -> EncodedPrompt:
    """Drop as few turns as necessary, found by bisection: each attempt encodes the prompt."""
    droppable = [i for i, m in enumerate(prompt.messages[:-1]) if m.role != "system"]

    def without(count: int) -> ChatPrompt:
        dropped = frozenset(droppable[:count])
        kept = tuple(m for i, m in enumerate(prompt.messages) if i not in dropped)
        return prompt.model_copy(update={"messages": kept, "prefix_token_ids": ()})

    def fits(count: int) -> bool:
        try:
            return len(tokenizer.encode_chat(without(count)).token_ids) <= limit
        except PromptError:  # some templates require a user's turn first: drop more
            return False

    count = bisect_left(range(len(droppable)), True, key=fits)
    return tokenizer.encode_chat(without(count))


class _TokenRuler:
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
