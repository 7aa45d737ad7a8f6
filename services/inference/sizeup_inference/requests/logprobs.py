"""The engine's log-probabilities as wire messages, and OpenAI's `echo`: the prompt's text. Pure."""

import codecs
from collections.abc import Iterator, Sequence

from sizeup_inference.engine.protocol import Logprobs
from sizeup_inference.text.tokenizer import Tokenizer
from sizeup_wire.events import PromptToken, PromptTokens, TokenLogprob, TopLogprob

TOKENS_PER_EVENT = 128
"""With 20 top tokens each, a line has about 0.3 MB, and 2 MB where all of them are Qwen's longest;
the gateway accepts 8. Serializing it blocks the event loop for some milliseconds."""


class PromptEcho:
    """The echo of one request, which streams during prefill."""

    def __init__(self, tokenizer: Tokenizer, token_ids: Sequence[int], *, logprobs: bool) -> None:
        self._tokenizer = tokenizer
        self._token_ids = token_ids
        self._logprobs = logprobs
        self._sent = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def begin(self) -> Iterator[PromptTokens]:
        """Yield what needs no model: the whole text or, with logprobs, the first token."""
        if self._logprobs:
            yield self._piece([None])
        while not self._logprobs and self._sent < len(self._token_ids):
            yield PromptTokens(text=self._text(TOKENS_PER_EVENT))

    def feed(self, logprobs: Sequence[Logprobs]) -> Iterator[PromptTokens]:
        """Yield the next tokens, one per entry; lazily, because there may be thousands."""
        for start in range(0, len(logprobs), TOKENS_PER_EVENT):
            yield self._piece(logprobs[start : start + TOKENS_PER_EVENT])

    def _piece(self, logprobs: Sequence[Logprobs | None]) -> PromptTokens:
        ids = self._token_ids[self._sent : self._sent + len(logprobs)]
        tokens = tuple(
            prompt_token(self._tokenizer, token_id, logprob)
            for token_id, logprob in zip(ids, logprobs, strict=True)
        )
        return PromptTokens(text=self._text(len(ids)), tokens=tokens)

    def _text(self, count: int) -> str:
        """Return the characters that the next tokens complete; the last token flushes."""
        ids = self._token_ids[self._sent : self._sent + count]
        self._sent += len(ids)
        raw = b"".join(map(self._tokenizer.token_bytes, ids))
        return self._decoder.decode(raw, final=self._sent == len(self._token_ids))


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
