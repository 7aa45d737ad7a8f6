"""The events of one request, gathered for a reply in one piece. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sizeup_gateway.responses.json_bytes import WrittenArray, WrittenText, encode
from sizeup_wire.events import Event, Finished, Started, Text, Thinking, TokenLogprob, ToolCall


@dataclass(slots=True)
class Choice:
    """One answer."""

    logprobs: WrittenArray[TokenLogprob]
    """Of thinking and text, in the dialect's words."""
    text: WrittenText = field(default_factory=WrittenText)
    thinking: WrittenText = field(default_factory=WrittenText)
    tool_calls: list[ToolCall] = field(default_factory=list)


@dataclass(slots=True)
class Transcript:
    """Everything a request brought; `finished` is there once it has ended well."""

    choices: list[Choice]
    started: Started | None = None
    finished: Finished | None = None

    @classmethod
    def of(cls, choices: int, entry: Callable[[TokenLogprob], object]) -> "Transcript":
        """Make an empty transcript of so many choices; `entry` says a token in a dialect."""
        return cls([Choice(WrittenArray(entry)) for _ in range(choices)])

    def add(self, event: Event) -> int:
        """Take one event and return the bytes of it; Failed is the caller's business."""
        match event:
            case Started():
                self.started = event
            case Text():
                choice = self.choices[event.choice]
                return choice.text.add(event.text) + choice.logprobs.extend(event.logprobs)
            case Thinking():
                choice = self.choices[event.choice]
                return choice.thinking.add(event.text) + choice.logprobs.extend(event.logprobs)
            case ToolCall():
                self.choices[event.choice].tool_calls.append(event)
                return len(encode(event.arguments))
            case Finished():
                self.finished = event
        return 0

    @property
    def end(self) -> Finished:
        """Return the last event; raise ValueError before it came."""
        if self.finished is None:
            raise ValueError("the transcript is not finished")
        return self.finished
