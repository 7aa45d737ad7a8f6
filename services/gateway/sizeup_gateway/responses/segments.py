"""The output of one choice in segments: reasoning, text and tool calls in their order. Pure.

The Responses API and Anthropic's API have an object with a beginning and an end for each.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sizeup_wire.events import (
    Event,
    Finished,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)


@dataclass(frozen=True, slots=True)
class Segment:
    kind: Literal["reasoning", "text", "call"]
    call_id: str = ""
    """Of a call, like the name."""
    name: str = ""


_REASONING, _TEXT = Segment("reasoning"), Segment("text")


@dataclass(frozen=True, slots=True)
class Step:
    """What an event does, in the order of the fields."""

    closes: bool = False
    """The open segment ends. A call that ends so is incomplete."""
    opens: Segment | None = None
    text: str = ""
    """Text for the open segment; of a call, text of its arguments."""
    logprobs: Sequence[TokenLogprob] = ()
    completes: bool = False
    """The open segment, a call, ends."""


class Segments:
    def __init__(self) -> None:
        self._open: Segment | None = None

    def step(self, event: Event) -> Step:
        """Take the next event, and return what it changes."""
        match event:
            case Thinking():
                return self._continue(_REASONING, event.text)
            case Text():
                return self._text(event)
            case ToolCallStarted():
                return self._begin(Segment("call", event.id, event.name))
            case ToolCallArguments():
                return Step(text=event.text)
            case ToolCall():
                return self._complete(event)
            case Finished():
                return Step(closes=self._close())
        return Step()

    def _text(self, event: Text) -> Step:
        if not event.text and self._open is not _TEXT:
            return Step()  # the log-probabilities of tokens that are not text
        return self._continue(_TEXT, event.text, event.logprobs)

    def _continue(self, segment: Segment, text: str, logprobs: Sequence[TokenLogprob] = ()) -> Step:
        if self._open is segment:
            return Step(text=text, logprobs=logprobs)
        return self._begin(segment, text, logprobs)

    def _complete(self, call: ToolCall) -> Step:
        if self._open is not None and self._open.kind == "call":
            self._open = None
            return Step(completes=True)  # it was streamed
        closes = self._close()
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        segment = Segment("call", call.id, call.name)
        return Step(closes, segment, arguments, completes=True)

    def _begin(
        self, segment: Segment, text: str = "", logprobs: Sequence[TokenLogprob] = ()
    ) -> Step:
        closes = self._close()
        self._open = segment
        return Step(closes, segment, text, logprobs)

    def _close(self) -> bool:
        was_open, self._open = self._open is not None, None
        return was_open
