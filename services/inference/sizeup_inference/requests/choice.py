"""Tokens of one choice to wire events: text, stop strings, thinking, tool calls.

Pure except for the random ids of tool calls.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sizeup_inference.engine.protocol import Finish, Token
from sizeup_inference.requests.logprobs import token_logprob
from sizeup_inference.text.answer_parser import AnswerParser, Content, Part, Reasoning
from sizeup_inference.text.call_stream import CallArguments, CallEnded, CallStarted
from sizeup_inference.text.stop_strings import StopMatcher, StopStrings
from sizeup_inference.text.tokenizer import TextStream, Tokenizer
from sizeup_inference.text.tool_call import Call
from sizeup_wire.events import (
    FinishReason,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolCallArguments,
    ToolCallStarted,
)

ChoiceEvent = Text | Thinking | ToolCallStarted | ToolCallArguments | ToolCall


@dataclass(frozen=True, slots=True)
class TextRules:
    """How the text of a request is processed, the same for each choice."""

    stops: StopStrings
    min_tokens: int
    parser: Callable[[], AnswerParser]
    parallel_calls: bool
    """False ends the output after its first tool call."""
    every_logprob: bool
    """Include those of tokens without text: the end-of-sequence token, special tokens."""


class Choice:
    def __init__(self, index: int, tokenizer: Tokenizer, rules: TextRules) -> None:
        self._index = index
        self._tokenizer = tokenizer
        self._rules = rules
        self._text = TextStream(tokenizer)
        self.stop = StopMatcher(rules.stops)
        self._parser = rules.parser()
        self._next_call = 0
        """Index of the next call; of the one that is streamed, the last before."""
        self._call_id = ""
        self._pending_tokens = 0
        self._pending_logprobs: list[TokenLogprob] = []
        self.token_ids: list[int] = []
        """Every token, including the one that ended the choice."""
        self.reasoning_tokens = 0
        self.reason: FinishReason | None = None
        """Why the choice ended; None before."""

    def feed(self, token: Token) -> list[ChoiceEvent]:
        """Add one token of this choice and return the events that it completes."""
        self.token_ids.append(token.token_id)
        thinking = self._parser.is_thinking
        if token.finish is Finish.STOP:
            if self._rules.every_logprob:
                self._keep_logprob(token)
            parts = self._end(FinishReason.STOP)
        else:
            self._pending_tokens += 1
            self._keep_logprob(token)
            parts = self._feed_text(token)
        self.reasoning_tokens += thinking or self._parser.is_thinking
        return [*self._events(parts), *self._remaining_logprobs()]

    def _keep_logprob(self, token: Token) -> None:
        if token.logprobs is not None:
            logprob = token_logprob(self._tokenizer, token.token_id, token.logprobs)
            self._pending_logprobs.append(logprob)

    def _feed_text(self, token: Token) -> list[Part]:
        text = self._text.feed(token.token_id)
        if len(self.token_ids) > self._rules.min_tokens:
            text = self.stop.feed(text)
        parts = self._parser.feed(text)
        if self._parser.calls and not self._rules.parallel_calls:
            self.reason = FinishReason.TOOL_CALLS
            return _up_to_call(parts)
        if self.stop.match is not None:
            return parts + self._end(FinishReason.STOP)
        if token.finish is Finish.LENGTH:
            return parts + self._end(FinishReason.LENGTH)
        return parts

    def _end(self, reason: FinishReason) -> list[Part]:
        rest = "" if self.stop.match is not None else self.stop.flush() + self._text.flush()
        parts = self._parser.feed(rest) + self._parser.flush()
        has_calls = reason is FinishReason.STOP and self._parser.calls
        self.reason = FinishReason.TOOL_CALLS if has_calls else reason
        return parts

    def _events(self, parts: Sequence[Part]) -> Iterator[ChoiceEvent]:
        for part in parts:
            tokens, logprobs = self._pending_tokens, tuple(self._pending_logprobs)
            self._pending_tokens, self._pending_logprobs = 0, []
            if isinstance(part, Content | Reasoning):
                kind = Text if isinstance(part, Content) else Thinking
                yield kind(choice=self._index, text=part.text, tokens=tokens, logprobs=logprobs)
            else:
                yield from self._call_events(part)

    def _call_events(
        self, part: CallStarted | CallArguments | CallEnded | Call
    ) -> Iterator[ToolCallStarted | ToolCallArguments | ToolCall]:
        if isinstance(part, CallStarted | Call):
            self._next_call += 1
            self._call_id = f"call_{secrets.token_hex(12)}"
        choice, index, id = self._index, self._next_call - 1, self._call_id
        match part:
            case CallStarted():
                yield ToolCallStarted(choice=choice, index=index, id=id, name=part.name)
            case CallArguments():
                yield ToolCallArguments(choice=choice, index=index, text=part.text)
            case CallEnded(Call() as call) | (Call() as call):
                yield ToolCall(
                    choice=choice, index=index, id=id, name=call.name, arguments=call.arguments
                )

    def _remaining_logprobs(self) -> Iterator[Text]:
        """At the end, yield the log-probabilities of tokens after the last text.

        A stop string's are dropped like its text.
        """
        ended = self.reason is not None and self.stop.match is None
        if ended and self._rules.every_logprob and self._pending_logprobs:
            yield Text(
                choice=self._index, text="", tokens=0, logprobs=tuple(self._pending_logprobs)
            )


def _up_to_call(parts: Sequence[Part]) -> list[Part]:
    """Return the parts up to the end of the first call."""
    end = next(i for i, part in enumerate(parts) if isinstance(part, CallEnded | Call))
    return list(parts[: end + 1])
