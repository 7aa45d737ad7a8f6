"""Events -> the chunks and whole responses of /v1/completions. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from sizeup_gateway.api.openai.chunks import Heading, heading_fields, to_usage
from sizeup_gateway.api.openai.token_columns import (
    ColumnsBuilder,
    TextOffset,
    Token,
    join_columns,
    to_columns,
)
from sizeup_gateway.responses.framing import Json, Timing
from sizeup_gateway.responses.json_bytes import JsonStringBuilder, join_strings
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    PromptTokens,
    Text,
    Thinking,
    TokenLogprob,
)

_KIND = "text_completion"


@dataclass(slots=True)
class _MeanLogprob:
    """The mean log-probability of the tokens of a choice."""

    total: float = 0.0
    tokens: int = 0

    def add(self, tokens: Sequence[TokenLogprob]) -> None:
        self.total += sum(token.logprob for token in tokens)
        self.tokens += len(tokens)

    @property
    def value(self) -> float:
        """Minus infinity for a choice without tokens, which says nothing."""
        return self.total / self.tokens if self.tokens else -math.inf


@dataclass(slots=True)
class _CollectedText:
    """Collected text and logprobs of a prompt, or of a choice."""

    text: JsonStringBuilder = field(default_factory=JsonStringBuilder)
    columns: ColumnsBuilder = field(default_factory=ColumnsBuilder)
    likelihood: _MeanLogprob = field(default_factory=_MeanLogprob)


class CompletionChunks:
    """Chunks of /v1/completions; thinking, which cannot be requested here, is part of the text."""

    def __init__(
        self,
        heading: Heading,
        choices: int,
        *,
        per_prompt: int = 1,
        best: int | None = None,
        usage: bool,
        logprobs: bool,
    ) -> None:
        """`usage`: the stream ends with a usage chunk; `logprobs`: logprobs were requested.

        `per_prompt` consecutive choices share a prompt. With `best` a whole response has the
        likeliest ones of each prompt only, which requires the logprobs of all.
        """
        self._heading = heading
        self._usage = usage
        self._logprobs = logprobs
        self._per_prompt = per_prompt
        self._best = best
        self._offsets = [TextOffset() for _ in range(choices)]
        self._prompts = [_CollectedText() for _ in range(0, choices, per_prompt)]
        self._completions = [_CollectedText() for _ in range(choices)]
        self._finished: Finished | None = None

    def to_chunks(self, event: Event, timing: Timing) -> Sequence[Json]:
        """Return the chunks of one event: an echoed prompt once for each choice that shares it."""
        match event:
            case PromptTokens():
                sharers = range(event.choice, event.choice + self._per_prompt)
                return [self._chunk(i, event.text, event.tokens) for i in sharers]
            case Text() | Thinking():
                return [self._chunk(event.choice, event.text, event.logprobs)]
            case Finished():
                return self._last(event)
        return ()

    def collect(self, event: Event) -> int:
        """Collect an event: an echoed prompt once for all choices that share it."""
        match event:
            case PromptTokens():
                prompt = self._prompts[event.choice // self._per_prompt]
                size = self._add(prompt, event.choice, event.text, event.tokens)
                for sharer in range(event.choice + 1, event.choice + self._per_prompt):
                    self._offsets[sharer].copy_from(self._offsets[event.choice])
                return size
            case Text() | Thinking():
                completion = self._completions[event.choice]
                completion.likelihood.add(event.logprobs)
                return self._add(completion, event.choice, event.text, event.logprobs)
            case Finished():
                self._finished = event
        return 0

    def _add(
        self, collected: _CollectedText, index: int, text: str, tokens: Sequence[Token]
    ) -> int:
        columns = to_columns(tokens, self._offsets[index])
        return collected.text.add(text) + collected.columns.extend(columns)

    def to_response(self, timing: Timing) -> Json:
        if self._finished is None:
            raise ValueError("the completion is not finished")
        end = self._finished
        choices = [
            {"index": index} | self._whole_choice(i, end.reasons[i])
            for index, i in enumerate(self._returned())
        ]
        usage = to_usage(end)
        return heading_fields(self._heading, _KIND) | {"choices": choices, "usage": usage}

    def _returned(self) -> Sequence[int]:
        """Return the choices of a whole response: all, or the likeliest of each prompt."""
        count, each = len(self._completions), self._per_prompt
        if self._best is None:
            return range(count)
        ranked = (
            sorted(range(first, first + each), key=self._likelihood, reverse=True)
            for first in range(0, count, each)
        )
        return [i for group in ranked for i in group[: self._best]]

    def _likelihood(self, index: int) -> float:
        return self._completions[index].likelihood.value

    def _whole_choice(self, index: int, reason: FinishReason) -> Json:
        prompt, completion = self._prompts[index // self._per_prompt], self._completions[index]
        return {
            "text": join_strings(prompt.text, completion.text),
            "logprobs": join_columns(prompt.columns, completion.columns)
            if self._logprobs
            else None,
            "finish_reason": reason.value,
        }

    def _last(self, end: Finished) -> list[Json]:
        chunks = [self._chunk(i, "", (), reason) for i, reason in enumerate(end.reasons)]
        if self._usage:
            usage = to_usage(end)
            chunks.append(heading_fields(self._heading, _KIND) | {"choices": [], "usage": usage})
        return chunks

    def _chunk(
        self,
        index: int,
        text: str,
        tokens: Sequence[Token],
        reason: FinishReason | None = None,
    ) -> Json:
        shows_logprobs = self._logprobs and (tokens or reason is not None)
        choice = {
            "text": text,
            "index": index,
            "logprobs": to_columns(tokens, self._offsets[index]) if shows_logprobs else None,
            "finish_reason": None if reason is None else reason.value,
        }
        chunk = heading_fields(self._heading, _KIND) | {"choices": [choice]}
        return chunk | {"usage": None} if self._usage else chunk
