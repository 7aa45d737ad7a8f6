"""Events -> the chunks and replies of OpenAI's older /v1/completions. Pure."""

from collections.abc import Sequence

from sizeup_gateway.openai.chunks import Heading, heading_fields, to_usage
from sizeup_gateway.stream import Json, Moment
from sizeup_gateway.transcript import Transcript
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    Started,
    Text,
    Thinking,
    TokenLogprob,
)

_KIND = "text_completion"


class CompletionChunks:
    """Say the events of /v1/completions."""

    def __init__(self, heading: Heading, choices: int, *, usage: bool, logprobs: bool) -> None:
        """Tell whether a usage chunk ends the stream, and whether logprobs were asked for."""
        self._heading = heading
        self._usage = usage
        self._logprobs = logprobs
        self._cached_tokens = 0
        self._offsets = [0] * choices

    def to_chunks(self, event: Event, moment: Moment) -> Sequence[Json]:
        """Return the chunks of one event; a model that thinks unasked thinks in its text."""
        match event:
            case Started():
                self._cached_tokens = event.cached_tokens
            case Text() | Thinking():
                return [self._chunk(event.choice, event.text, event.logprobs)]
            case Finished():
                return self._last(event)
        return ()

    def to_reply(self, transcript: Transcript, moment: Moment) -> Json:
        """Return the whole completion."""
        end, started = transcript.end, transcript.started
        choices = [
            self._choice(
                i,
                choice.thinking + choice.text,
                (*choice.thinking_logprobs, *choice.logprobs),
                end.reasons[i],
            )
            for i, choice in enumerate(transcript.choices)
        ]
        usage = to_usage(end, started.cached_tokens if started else 0)
        return heading_fields(self._heading, _KIND) | {"choices": choices, "usage": usage}

    def _last(self, end: Finished) -> list[Json]:
        chunks = [self._chunk(i, "", (), reason) for i, reason in enumerate(end.reasons)]
        if self._usage:
            usage = to_usage(end, self._cached_tokens)
            chunks.append(heading_fields(self._heading, _KIND) | {"choices": [], "usage": usage})
        return chunks

    def _chunk(
        self,
        index: int,
        text: str,
        logprobs: Sequence[TokenLogprob],
        reason: FinishReason | None = None,
    ) -> Json:
        choice = self._choice(index, text, logprobs, reason)
        chunk = heading_fields(self._heading, _KIND) | {"choices": [choice]}
        return chunk | {"usage": None} if self._usage else chunk

    def _choice(
        self,
        index: int,
        text: str,
        logprobs: Sequence[TokenLogprob],
        reason: FinishReason | None,
    ) -> Json:
        wanted = self._logprobs and (logprobs or reason is not None)
        return {
            "text": text,
            "index": index,
            "logprobs": self._logprobs_of(index, logprobs) if wanted else None,
            "finish_reason": None if reason is None else reason.value,
        }

    def _logprobs_of(self, index: int, tokens: Sequence[TokenLogprob]) -> Json:
        offsets: list[int] = []
        for token in tokens:
            offsets.append(self._offsets[index])
            self._offsets[index] += len(token.token)
        return {
            "tokens": [token.token for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [_top(token) for token in tokens],
            "text_offset": offsets,
        }


def _top(token: TokenLogprob) -> dict[str, float]:
    """Return the likeliest tokens and the chosen one, which need not be among them."""
    return {top.token: top.logprob for top in token.top} | {token.token: token.logprob}
