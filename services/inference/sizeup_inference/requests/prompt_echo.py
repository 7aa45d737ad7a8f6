"""A prompt said back, in pieces: its text and, where asked for, its log-probabilities. Pure."""

import codecs
from collections.abc import Iterator, Sequence

from sizeup_inference.engine.protocol import Logprobs
from sizeup_inference.requests.logprobs import prompt_token
from sizeup_inference.text.tokenizer import Tokenizer
from sizeup_wire.events import PromptTokens

TOKENS_PER_EVENT = 128
"""With 20 candidates for each token a line is about 0.3 MB, and 2 MB where all of them are Qwen's
longest; a reader takes 8. Making it holds the event loop for some milliseconds."""


class PromptEcho:
    """How far a request's prompt has been said."""

    def __init__(self, tokenizer: Tokenizer, token_ids: Sequence[int], *, logprobs: bool) -> None:
        """Say nothing yet; with `logprobs` each token comes with its own."""
        self._tokenizer = tokenizer
        self._token_ids = token_ids
        self._logprobs = logprobs
        self._said = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def begin(self) -> Iterator[PromptTokens]:
        """Say what needs no model: all of the text, or the first token, which follows nothing."""
        if self._logprobs:
            yield self._piece([None])
        while not self._logprobs and self._said < len(self._token_ids):
            yield PromptTokens(text=self._text(TOKENS_PER_EVENT))

    def go_on(self, logprobs: Sequence[Logprobs]) -> Iterator[PromptTokens]:
        """Say the next tokens, one for each of these; lazily, since they may be thousands."""
        for start in range(0, len(logprobs), TOKENS_PER_EVENT):
            yield self._piece(logprobs[start : start + TOKENS_PER_EVENT])

    def _piece(self, logprobs: Sequence[Logprobs | None]) -> PromptTokens:
        ids = self._token_ids[self._said : self._said + len(logprobs)]
        tokens = tuple(
            prompt_token(self._tokenizer, token_id, own)
            for token_id, own in zip(ids, logprobs, strict=True)
        )
        return PromptTokens(text=self._text(len(ids)), tokens=tokens)

    def _text(self, count: int) -> str:
        """Return the characters that the next tokens complete: an answer starts on a new one."""
        ids = self._token_ids[self._said : self._said + count]
        self._said += len(ids)
        own = b"".join(map(self._tokenizer.token_bytes, ids))
        return self._decoder.decode(own, final=self._said == len(self._token_ids))
