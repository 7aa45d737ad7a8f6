"""Thinking and tool calls in generated text, as it arrives. Pure.

`<think>...</think>` may open an answer; `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`
may stand anywhere after it (the format of Hermes and Qwen). White space around the tags belongs to
them. A call that is not one comes out as the text it was.
"""

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

_THINK, _END_THINK = "<think>", "</think>"
_CALL, _END_CALL = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, slots=True)
class Answer:
    """Text for the person."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """Text before the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A whole tool call."""

    name: str
    arguments: dict[str, Any]


Part = Answer | Thought | Call


class _State(Enum):
    START = auto()
    THINKING = auto()
    AFTER_THINKING = auto()
    ANSWER = auto()
    CALL = auto()
    AFTER_CALL = auto()


class AnswerParser:
    """Split one choice's text into thoughts, answer and calls."""

    def __init__(self, *, thinking: bool, is_thinking: bool, tools: bool) -> None:
        """Look for thoughts and for calls, or not; `is_thinking` begins inside <think>."""
        self._tools = tools
        self._held = ""
        self._state = _State.START if thinking else _State.ANSWER
        if is_thinking:
            self._state = _State.THINKING
        self._fresh = is_thinking
        self.calls = 0
        """Calls found so far."""

    @property
    def is_thinking(self) -> bool:
        """Tell whether the text so far ends inside a thought."""
        return self._state is _State.THINKING

    def feed(self, text: str) -> list[Part]:
        """Return what the text so far settles."""
        self._held += text
        parts: list[Part] = []
        while self._step(parts):
            pass
        return _joined(parts)

    def flush(self) -> list[Part]:
        """Return the rest, at the end of a choice; a call may lack its closing tag."""
        held, self._held = self._held, ""
        if self._state is _State.THINKING:
            return [Thought(held)] if held.strip() else []
        if self._state is _State.CALL:
            return [self._called(held, closed=False)]
        if self._state in (_State.AFTER_THINKING, _State.AFTER_CALL) and not held.strip():
            return []
        return [Answer(held)] if held else []

    def _step(self, parts: list[Part]) -> bool:
        """Make one transition; return whether another may follow."""
        match self._state:
            case _State.START:
                return self._start()
            case _State.THINKING:
                return self._think(parts)
            case _State.AFTER_THINKING | _State.AFTER_CALL:
                return self._skip_space()
            case _State.ANSWER:
                return self._answer(parts)
            case _State.CALL:
                return self._call(parts)

    def _start(self) -> bool:
        begun = self._held.lstrip()
        if begun.startswith(_THINK):
            self._held = begun[len(_THINK) :]
            self._state, self._fresh = _State.THINKING, True
            return True
        if _THINK.startswith(begun):
            return False
        self._state = _State.ANSWER
        return True

    def _think(self, parts: list[Part]) -> bool:
        if self._fresh:
            self._held = self._held.lstrip()
            self._fresh = not self._held
        thought, tag, rest = self._held.partition(_END_THINK)
        if tag:
            parts.append(Thought(thought.rstrip()))
            self._held, self._state = rest, _State.AFTER_THINKING
            return True
        self._emit(parts, Thought, _END_THINK)
        return False

    def _skip_space(self) -> bool:
        rest = self._held.lstrip()
        if not rest:
            return False
        if self._state is _State.AFTER_THINKING or rest.startswith(_CALL):
            self._held = rest
        elif self._tools and _CALL.startswith(rest):
            return False
        self._state = _State.ANSWER
        return True

    def _answer(self, parts: list[Part]) -> bool:
        if not self._tools:
            parts.append(Answer(self._held))
            self._held = ""
            return False
        before, tag, _ = self._held.partition(_CALL)
        if tag:
            text = before.rstrip()
            parts.append(Answer(text))
            self._held = self._held[len(text) :]
            self._state = _State.CALL
            return True
        self._emit(parts, Answer, _CALL)
        return False

    def _call(self, parts: list[Part]) -> bool:
        if _END_CALL not in self._held:
            return False
        whole, tag, rest = self._held.partition(_END_CALL)
        part = self._called(whole + tag, closed=True)
        parts.append(part)
        self._held = rest
        self._state = _State.AFTER_CALL if isinstance(part, Call) else _State.ANSWER
        return True

    def _called(self, whole: str, *, closed: bool) -> Part:
        body = whole.lstrip().removeprefix(_CALL)
        call = parse_call(body.removesuffix(_END_CALL) if closed else body)
        if call is None:
            return Answer(whole)
        self.calls += 1
        return call

    def _emit(self, parts: list[Part], kind: type[Answer] | type[Thought], tag: str) -> None:
        """Emit all but what may begin the tag, and the white space before it."""
        keep = len(self._held) - _overlap(self._held, tag)
        settled = self._held[:keep].rstrip()
        parts.append(kind(settled))
        self._held = self._held[len(settled) :]


def parse_call(body: str) -> Call | None:
    """Parse the inside of a tool call, or return None when it is not one."""
    try:
        call = json.loads(body, parse_constant=_refuse_constant)
        json.dumps(call, ensure_ascii=False).encode()  # a lone surrogate cannot be sent
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict):
        return None
    name, arguments = call.get("name"), call.get("arguments", {})
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return Call(name, arguments)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _overlap(text: str, tag: str) -> int:
    """Return the length of the longest end of the text that begins the tag."""
    longest = min(len(tag) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(tag[:n])), 0)


def _joined(parts: list[Part]) -> list[Part]:
    """Drop empty texts and join neighbours of a kind."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Call):
            joined.append(part)
        elif isinstance(part, Answer) and isinstance(last, Answer):
            joined[-1] = Answer(last.text + part.text)
        elif part.text:
            joined.append(part)
    return joined
