"""Events -> the chunks and whole responses of /v1/completions. Pure."""

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
)

_KIND = "text_completion"


@dataclass(slots=True)
class _CollectedText:
    """Collected text and logprobs of a prompt, or of a choice."""

    text: JsonStringBuilder = field(default_factory=JsonStringBuilder)
    columns: ColumnsBuilder = field(default_factory=ColumnsBuilder)


class CompletionChunks:
    """Chunks of /v1/completions; thinking, which cannot be requested here, is part of the text."""

    def __init__(
        self,
        heading: Heading,
        choices: int,
        *,
        per_prompt: int = 1,
        usage: bool,
        logprobs: bool,
    ) -> None:
        """`usage`: the stream ends with a usage chunk; `logprobs`: logprobs were requested.

        `per_prompt` consecutive choices share a prompt.
        """
        self._heading = heading
        self._usage = usage
        self._logprobs = logprobs
        self._per_prompt = per_prompt
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
        choices = [self._whole_choice(i, reason) for i, reason in enumerate(end.reasons)]
        usage = to_usage(end)
        return heading_fields(self._heading, _KIND) | {"choices": choices, "usage": usage}

    def _whole_choice(self, index: int, reason: FinishReason) -> Json:
        prompt, completion = self._prompts[index // self._per_prompt], self._completions[index]
        return {
            "text": join_strings(prompt.text, completion.text),
            "index": index,
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
