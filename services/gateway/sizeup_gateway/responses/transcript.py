"""The collected events of one request, for a whole response. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sizeup_gateway.responses.json_bytes import JsonArrayBuilder, JsonStringBuilder, encode
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


@dataclass(slots=True)
class PartialCall:
    """A call that was streamed; only one that was cut off stays partial."""

    id: str
    name: str
    arguments: list[str] = field(default_factory=list)
    """Pieces of JSON text."""


@dataclass(slots=True)
class Choice:
    logprobs: JsonArrayBuilder[TokenLogprob]
    """Of thinking and text, in the dialect's form."""
    text: JsonStringBuilder = field(default_factory=JsonStringBuilder)
    thinking: JsonStringBuilder = field(default_factory=JsonStringBuilder)
    tool_calls: list[ToolCall | PartialCall] = field(default_factory=list)


@dataclass(slots=True)
class Transcript:
    """All events of a request; `finished` is set once it ran to completion."""

    choices: list[Choice]
    finished: Finished | None = None

    @classmethod
    def of(cls, choices: int, to_json: Callable[[TokenLogprob], object]) -> "Transcript":
        """Create an empty transcript; `to_json` gives the dialect's form of a token."""
        return cls([Choice(JsonArrayBuilder(to_json)) for _ in range(choices)])

    def add(self, event: Event) -> int:
        """Add an event other than Failed and return its encoded size in bytes."""
        match event:
            case Text() | Thinking():
                choice = self.choices[event.choice]
                said = choice.text if isinstance(event, Text) else choice.thinking
                return said.add(event.text) + choice.logprobs.extend(event.logprobs)
            case ToolCallStarted() | ToolCallArguments() | ToolCall():
                return _add_call(self.choices[event.choice].tool_calls, event)
            case Finished():
                self.finished = event
        return 0

    @property
    def end(self) -> Finished:
        """The last event; ValueError before it has arrived."""
        if self.finished is None:
            raise ValueError("the transcript is not finished")
        return self.finished


def _add_call(
    calls: list[ToolCall | PartialCall], event: ToolCallStarted | ToolCallArguments | ToolCall
) -> int:
    last = calls[-1] if calls else None
    match event:
        case ToolCallStarted():
            calls.append(PartialCall(event.id, event.name))
            return len(event.name)
        case ToolCallArguments():
            if isinstance(last, PartialCall):
                last.arguments.append(event.text)
            return len(event.text)
        case ToolCall():
            if isinstance(last, PartialCall) and last.id == event.id:
                calls[-1] = event
                return 0
            calls.append(event)
            return len(encode(event.arguments))
