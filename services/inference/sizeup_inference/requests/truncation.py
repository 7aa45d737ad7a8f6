"""Encoding of prompts within the context length. Blocking: runs on the tokenizer thread."""

from bisect import bisect_left
from dataclasses import replace

from sizeup_inference.errors import (
    ContextLengthError,
    InvalidRequestError,
    PromptError,
    UnsupportedError,
)
from sizeup_inference.requests.resolve import ModelPrompt
from sizeup_inference.text.tokenizer import EncodedPrompt, Tokenizer
from sizeup_wire.generate import ChatPrompt, InfillPrompt, TextPrompt

_NUM_KEEP = 4
"""Tokens kept at the start of a prompt whose tokens are cut: Ollama's default of num_keep, which
covers the opening of a turn."""


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
) -> EncodedPrompt:
    """Encode a prompt in at most `limit` tokens, or raise ContextLengthError.

    With `truncate` a conversation loses its oldest turns, but no system message and not its last
    message, and an infill prompt what is far from the gap; after that, like other prompts, they
    lose the tokens that follow the first `num_keep`.
    """
    encoded = encode_nonempty(tokenizer, prompt)
    if len(encoded.token_ids) > limit and truncate:
        encoded = _shorten(tokenizer, prompt, limit, encoded)
        encoded = _cut(encoded, limit, _NUM_KEEP if num_keep is None else num_keep)
    if len(encoded.token_ids) > limit:
        raise _too_long(prompt, limit, len(encoded.token_ids))
    return encoded


def _too_long(prompt: ModelPrompt, limit: int, tokens: int) -> ContextLengthError:
    """Return the error in OpenAI's words, in which clients look for the numbers.

    Prompt and output share the context, and the output takes at least one token of it.
    """
    name = "messages" if isinstance(prompt, ChatPrompt) else "prompt"
    return ContextLengthError(
        f"This model's maximum context length is {limit + 1} tokens. However, your {name} resulted "
        f"in {tokens} tokens. Please reduce the length of the {name}.",
        param="prompt",
    )


def _shorten(
    tokenizer: Tokenizer, prompt: ModelPrompt, limit: int, encoded: EncodedPrompt
) -> EncodedPrompt:
    if isinstance(prompt, ChatPrompt):
        return _shorten_chat(tokenizer, prompt, limit)
    if isinstance(prompt, InfillPrompt):
        return _encode_infill(tokenizer, prompt, limit)
    return encoded


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


def _cut(encoded: EncodedPrompt, limit: int, num_keep: int) -> EncodedPrompt:
    """Remove tokens after the first few of a prompt that is still too long."""
    ids = encoded.token_ids
    if len(ids) <= limit:
        return encoded
    keep = min(num_keep, limit - 1)
    return replace(encoded, token_ids=ids[:keep] + ids[len(ids) - (limit - keep) :])
