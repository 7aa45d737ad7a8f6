"""Encoding of prompts within the context length. Blocking: runs on the tokenizer thread."""

from bisect import bisect_left

from sizeup_inference.errors import ContextLengthError, InvalidRequestError, PromptError
from sizeup_inference.requests.resolve import ModelPrompt
from sizeup_inference.text.tokenizer import EncodedPrompt, Tokenizer
from sizeup_wire.generate import ChatPrompt, TextPrompt, TokenPrompt

_KEEP = 4
"""Tokens kept at the start when even the last message is too long: Ollama's num_keep, which covers
the opening of the turn."""


def encode(tokenizer: Tokenizer, prompt: ModelPrompt) -> EncodedPrompt:
    if isinstance(prompt, ChatPrompt):
        return tokenizer.encode_chat(prompt)
    if isinstance(prompt, TextPrompt):
        return tokenizer.encode_text(prompt.text)
    return EncodedPrompt(prompt.token_ids)


def encode_to_fit(
    tokenizer: Tokenizer, prompt: ModelPrompt, limit: int, *, truncate: bool
) -> EncodedPrompt:
    """Encode a prompt in at most `limit` tokens, or raise ContextLengthError.

    With `truncate` a conversation loses its oldest turns, but no system message and not its last
    message; after that, like other prompts, its first tokens.
    """
    encoded = encode_nonempty(tokenizer, prompt)
    if len(encoded.token_ids) <= limit:
        return encoded
    if not truncate:
        raise ContextLengthError(
            f"the prompt has {len(encoded.token_ids)} tokens, the maximum is {limit}",
            param="prompt",
        )
    if not isinstance(prompt, ChatPrompt):
        return EncodedPrompt(encoded.token_ids[-limit:])
    return _shorten_chat(tokenizer, prompt, limit)


def encode_to_embed(
    tokenizer: Tokenizer, prompt: TextPrompt | TokenPrompt, limit: int, *, truncate: bool
) -> EncodedPrompt:
    """Encode a prompt in at most `limit` tokens, or raise ContextLengthError.

    With `truncate` it keeps its beginning, as in Ollama, and the tokens that the tokenizer appends:
    models with last-token pooling are trained to give the vector at their end-of-text token.
    """
    encoded = encode_nonempty(tokenizer, prompt)
    ids, kept = encoded.token_ids, limit - encoded.appended
    if len(ids) <= limit:
        return encoded
    if not truncate or kept < 1:
        raise ContextLengthError(
            f"This model's maximum context length is {limit} tokens, and an input has {len(ids)}",
            param="prompts",
        )
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
    return _cut(tokenizer.encode_chat(without(count)), limit)


def _cut(encoded: EncodedPrompt, limit: int) -> EncodedPrompt:
    """Remove tokens after the first few of a prompt that is still too long."""
    ids = encoded.token_ids
    if len(ids) <= limit:
        return encoded
    keep = min(_KEEP, limit - 1)
    ids = ids[:keep] + ids[len(ids) - (limit - keep) :]
    return EncodedPrompt(ids, encoded.rendered, encoded.is_thinking)
