"""The engine's log-probabilities as wire messages. Pure."""

from sizeup_inference.engine.protocol import Logprobs
from sizeup_inference.text.tokenizer import Tokenizer
from sizeup_wire.events import PromptToken, TokenLogprob, TopLogprob


def token_logprob(tokenizer: Tokenizer, token_id: int, logprobs: Logprobs) -> TokenLogprob:
    raw = tokenizer.token_bytes(token_id)
    return TokenLogprob(
        token=raw.decode(errors="replace"),
        bytes=tuple(raw),
        logprob=logprobs.chosen,
        top=_top(tokenizer, logprobs),
    )


def prompt_token(tokenizer: Tokenizer, token_id: int, logprobs: Logprobs | None) -> PromptToken:
    """Convert a prompt token; the first has no log-probability."""
    raw = tokenizer.token_bytes(token_id)
    return PromptToken(
        token=raw.decode(errors="replace"),
        bytes=tuple(raw),
        logprob=None if logprobs is None else logprobs.chosen,
        top=() if logprobs is None else _top(tokenizer, logprobs),
    )


def _top(tokenizer: Tokenizer, logprobs: Logprobs) -> tuple[TopLogprob, ...]:
    top = ((tokenizer.token_bytes(token_id), logprob) for token_id, logprob in logprobs.top)
    return tuple(
        TopLogprob(token=raw.decode(errors="replace"), bytes=tuple(raw), logprob=logprob)
        for raw, logprob in top
    )
