"""Incremental parsing of thinking and tool calls in generated text. Pure.

`<think>...</think>` may start the output. After it there may be any number of tool calls, as in
`tool_call`. White space around the tags is dropped with them; an invalid call is returned as text.
"""

from dataclasses import dataclass
from enum import Enum, auto

from sizeup_inference.text.call_stream import CallEnded, CallPart, CallStream
from sizeup_inference.text.tool_call import BEGIN as _CALL
from sizeup_inference.text.tool_call import END as _END_CALL
from sizeup_inference.text.tool_call import Call, EndFinder, parse_call

_THINK, _END_THINK = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Content:
    """Output text outside reasoning and tool calls."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Text inside <think>."""

    text: str


Part = Content | Reasoning | CallPart | CallEnded | Call


class _State(Enum):
    START = auto()
    THINKING = auto()
    AFTER_THINKING = auto()
    CONTENT = auto()
    CALL = auto()
    AFTER_CALL = auto()


class AnswerParser:
    """Splits the text of one choice into reasoning, content and calls."""

    def __init__(
        self, *, thinking: bool, is_thinking: bool, tools: bool, streams_calls: bool = False
    ) -> None:
        """Parse reasoning and calls where enabled; `is_thinking` starts inside <think>.

        `streams_calls`: return the parts of a call before it is complete.
        """
        self._tools = tools
        self._streams_calls = streams_calls
        self._stream = CallStream()
        self._held = ""
        self._state = _State.START if thinking else _State.CONTENT
        if is_thinking:
            self._state = _State.THINKING
        self._fresh = is_thinking
        self._end = EndFinder()
        self._ignores_strings = False
        self.calls = 0
        """Number of complete calls, and of those that were streamed."""

    @property
    def is_thinking(self) -> bool:
        """Whether the text so far ends inside <think>."""
        return self._state is _State.THINKING

    def feed(self, text: str) -> list[Part]:
        """Add text and return the parts that it completes."""
        self._held += text
        parts: list[Part] = []
        while self._step(parts):
            pass
        return _joined(parts)

    def flush(self) -> list[Part]:
        """Return the remaining parts at the end of a choice; a call may lack its closing tag."""
        parts: list[Part] = []
        if self._state is _State.CALL and self._held:
            self._flush_call(parts)
        return _joined([*parts, *self._flush_rest()])

    def _flush_call(self, parts: list[Part]) -> None:
        """Take what is left as one call, else cut it at every tag: a string was not closed."""
        cut = len(self._held) - _overlap(self._held, _END_CALL)
        call = parse_call(self._held[:cut])
        if call is not None or self._stream.started:
            parts.append(self._ended(call))
            self._held = ""
            return
        self._ignores_strings = True
        while self._step(parts):
            pass

    def _flush_rest(self) -> list[Part]:
        held, self._held = self._held, ""
        if self._state is _State.THINKING:
            return [Reasoning(held)] if held.strip() else []
        if self._state in (_State.AFTER_THINKING, _State.AFTER_CALL) and not held.strip():
            return []
        return [Content(held)] if held else []

    def _step(self, parts: list[Part]) -> bool:
        """Make one state transition; return whether another may follow."""
        match self._state:
            case _State.START:
                return self._start()
            case _State.THINKING:
                return self._think(parts)
            case _State.AFTER_THINKING | _State.AFTER_CALL:
                return self._skip_space()
            case _State.CONTENT:
                return self._content(parts)
            case _State.CALL:
                return self._call(parts)

    def _start(self) -> bool:
        text = self._held.lstrip()
        if text.startswith(_THINK):
            self._held = text[len(_THINK) :]
            self._state, self._fresh = _State.THINKING, True
            return True
        if _THINK.startswith(text):
            return False
        self._state = _State.CONTENT
        return True

    def _think(self, parts: list[Part]) -> bool:
        if self._fresh:
            self._held = self._held.lstrip()
            self._fresh = not self._held
        reasoning, tag, rest = self._held.partition(_END_THINK)
        if tag:
            parts.append(Reasoning(reasoning.rstrip()))
            self._held, self._state = rest, _State.AFTER_THINKING
            return True
        self._emit(parts, Reasoning, _END_THINK)
        return False

    def _skip_space(self) -> bool:
        rest = self._held.lstrip()
        if not rest:
            return False
        if self._state is _State.AFTER_THINKING or rest.startswith(_CALL):
            self._held = rest
        elif self._tools and _CALL.startswith(rest):
            return False
        self._state = _State.CONTENT
        return True

    def _content(self, parts: list[Part]) -> bool:
        if not self._tools:
            parts.append(Content(self._held))
            self._held = ""
            return False
        before, tag, _ = self._held.partition(_CALL)
        if tag:
            text = before.rstrip()
            parts.append(Content(text))
            self._held = self._held[len(text) :]
            self._state = _State.CALL
            return True
        self._emit(parts, Content, _CALL)
        return False

    def _call(self, parts: list[Part]) -> bool:
        end = self._held.find(_END_CALL) if self._ignores_strings else self._end.find(self._held)
        end = None if end == -1 else end
        if self._streams_calls:
            parts += self._stream.feed(self._held[:end])
        if end is None:
            return False
        self._take_call(parts, end)
        return True

    def _take_call(self, parts: list[Part], end: int) -> None:
        """Take a call, whose closing tag begins at `end`, from the held text.

        One that is unreadable ends at its first tag: what looks like a string may be none.
        """
        call = parse_call(self._held[:end])
        if call is None:
            end = self._held.find(_END_CALL)
            call = parse_call(self._held[:end])
        length = end + len(_END_CALL)
        is_call = call is not None or self._stream.started
        parts.append(self._ended(call) if is_call else Content(self._held[:length]))
        self._held, self._end, self._stream = self._held[length:], EndFinder(), CallStream()
        self._state = _State.AFTER_CALL if is_call else _State.CONTENT

    def _ended(self, call: Call | None) -> CallEnded | Call:
        """Count a call that is complete, or was streamed and may be invalid."""
        self.calls += 1
        return CallEnded(call) if call is None or self._stream.started else call

    def _emit(self, parts: list[Part], kind: type[Content] | type[Reasoning], tag: str) -> None:
        """Emit all text except a possible start of the tag and the white space before it."""
        keep = len(self._held) - _overlap(self._held, tag)
        text = self._held[:keep].rstrip()
        parts.append(kind(text))
        self._held = self._held[len(text) :]


def _overlap(text: str, tag: str) -> int:
    """Return the length of the longest suffix of the text that is a prefix of the tag."""
    longest = min(len(tag) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(tag[:n])), 0)


def _joined(parts: list[Part]) -> list[Part]:
    """Drop empty text and join consecutive parts of content."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Content) and isinstance(last, Content):
            joined[-1] = Content(last.text + part.text)
        elif not isinstance(part, Content | Reasoning) or part.text:
            joined.append(part)
    return joined
