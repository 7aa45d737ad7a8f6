"""Events -> the chunks and replies of OpenAI's older /v1/completions. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sizeup_gateway.api.openai.chunks import Heading, heading_fields, to_usage
from sizeup_gateway.api.openai.token_columns import (
    Offset,
    Token,
    WrittenColumns,
    joined_columns,
    to_columns,
)
from sizeup_gateway.responses.framing import Json, Moment
from sizeup_gateway.responses.json_bytes import WrittenText, joined_text
from sizeup_wire.events import (
    Event,
    Finished,
    FinishReason,
    PromptTokens,
    Started,
    Text,
    Thinking,
)

_KIND = "text_completion"


@dataclass(slots=True)
class _Told:
    """What was said of a prompt, or in an answer."""

    text: WrittenText = field(default_factory=WrittenText)
    columns: WrittenColumns = field(default_factory=WrittenColumns)


class CompletionChunks:
    """Say the events of /v1/completions; a model that thinks unasked thinks in its text."""

    def __init__(
        self,
        heading: Heading,
        choices: int,
        *,
        per_prompt: int = 1,
        usage: bool,
        logprobs: bool,
    ) -> None:
        """Tell whether a usage chunk ends the stream, and whether logprobs were asked for.

        `per_prompt` choices in a row share a prompt.
        """
        self._heading = heading
        self._usage = usage
        self._logprobs = logprobs
        self._cached_tokens = 0
        self._per_prompt = per_prompt
        self._offsets = [Offset() for _ in range(choices)]
        self._prompts = [_Told() for _ in range(0, choices, per_prompt)]
        self._answers = [_Told() for _ in range(choices)]
        self._finished: Finished | None = None

    def to_chunks(self, event: Event, moment: Moment) -> Sequence[Json]:
        """Return the chunks of one event: a prompt's for each choice that shares it."""
        match event:
            case Started():
                self._cached_tokens = event.cached_tokens
            case PromptTokens():
                sharers = range(event.choice, event.choice + self._per_prompt)
                return [self._chunk(i, event.text, event.tokens) for i in sharers]
            case Text() | Thinking():
                return [self._chunk(event.choice, event.text, event.logprobs)]
            case Finished():
                return self._last(event)
        return ()

    def gather(self, event: Event) -> int:
        """Keep an event: a prompt's once for the choices that share it."""
        match event:
            case Started():
                self._cached_tokens = event.cached_tokens
            case PromptTokens():
                prompt = self._prompts[event.choice // self._per_prompt]
                size = self._tell(prompt, event.choice, event.text, event.tokens)
                for sharer in range(event.choice + 1, event.choice + self._per_prompt):
                    self._offsets[sharer].go_to(self._offsets[event.choice])
                return size
            case Text() | Thinking():
                answer = self._answers[event.choice]
                return self._tell(answer, event.choice, event.text, event.logprobs)
            case Finished():
                self._finished = event
        return 0

    def _tell(self, told: _Told, index: int, text: str, tokens: Sequence[Token]) -> int:
        columns = to_columns(tokens, self._offsets[index])
        return told.text.add(text) + told.columns.extend(columns)

    def to_reply(self, moment: Moment) -> Json:
        """Return the whole completion."""
        if self._finished is None:
            raise ValueError("the completion is not finished")
        end = self._finished
        choices = [self._whole_choice(i, reason) for i, reason in enumerate(end.reasons)]
        usage = to_usage(end, self._cached_tokens)
        return heading_fields(self._heading, _KIND) | {"choices": choices, "usage": usage}

    def _whole_choice(self, index: int, reason: FinishReason) -> Json:
        prompt, answer = self._prompts[index // self._per_prompt], self._answers[index]
        return {
            "text": joined_text(prompt.text, answer.text),
            "index": index,
            "logprobs": joined_columns(prompt.columns, answer.columns) if self._logprobs else None,
            "finish_reason": reason.value,
        }

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
        tokens: Sequence[Token],
        reason: FinishReason | None = None,
    ) -> Json:
        told = self._logprobs and (tokens or reason is not None)
        choice = {
            "text": text,
            "index": index,
            "logprobs": to_columns(tokens, self._offsets[index]) if told else None,
            "finish_reason": None if reason is None else reason.value,
        }
        chunk = heading_fields(self._heading, _KIND) | {"choices": [choice]}
        return chunk | {"usage": None} if self._usage else chunk
