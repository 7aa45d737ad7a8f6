"""The events of one request, gathered for a reply in one piece. Pure."""

from dataclasses import dataclass, field

from sizeup_wire.events import (
    Event,
    Finished,
    PromptToken,
    PromptTokens,
    Started,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)


@dataclass(slots=True)
class Choice:
    """One answer."""

    prompt: str = ""
    """What was said of the prompt; the first of the choices that share it has it for all."""
    prompt_tokens: list[PromptToken] = field(default_factory=list)
    text: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    """Of the text."""
    thinking_logprobs: list[TokenLogprob] = field(default_factory=list)


@dataclass(slots=True)
class Transcript:
    """Everything a request brought; `finished` is there once it has ended well."""

    choices: list[Choice]
    started: Started | None = None
    finished: Finished | None = None

    @classmethod
    def of(cls, choices: int) -> "Transcript":
        """Make an empty transcript of so many choices."""
        return cls([Choice() for _ in range(choices)])

    def add(self, event: Event) -> None:
        """Take one event; Failed is the caller's business."""
        match event:
            case Started():
                self.started = event
            case PromptTokens():
                choice = self.choices[event.choice]
                choice.prompt += event.text
                choice.prompt_tokens.extend(event.tokens)
            case Text():
                choice = self.choices[event.choice]
                choice.text += event.text
                choice.logprobs.extend(event.logprobs)
            case Thinking():
                choice = self.choices[event.choice]
                choice.thinking += event.text
                choice.thinking_logprobs.extend(event.logprobs)
            case ToolCall():
                self.choices[event.choice].tool_calls.append(event)
            case Finished():
                self.finished = event

    @property
    def end(self) -> Finished:
        """Return the last event; raise ValueError before it came."""
        if self.finished is None:
            raise ValueError("the transcript is not finished")
        return self.finished
