"""Incremental parsing of thinking and tool calls in generated text. Pure.

`<think>...</think>` may start the output. After it there may be any number of
`<tool_call>{"name": ..., "arguments": {...}}</tool_call>` (the format of Hermes and Qwen). White
space around the tags is dropped with them. An invalid call is returned as text.
"""

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

_THINK, _END_THINK = "<think>", "</think>"
_CALL, _END_CALL = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, slots=True)
class Content:
    """Output text outside reasoning and tool calls."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """Text inside <think>."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A complete tool call."""

    name: str
    arguments: dict[str, Any]


Part = Content | Reasoning | Call


class _State(Enum):
    START = auto()
    THINKING = auto()
    AFTER_THINKING = auto()
    CONTENT = auto()
    CALL = auto()
    AFTER_CALL = auto()


class AnswerParser:
    """Splits the text of one choice into reasoning, content and calls."""

    def __init__(self, *, thinking: bool, is_thinking: bool, tools: bool) -> None:
        """Parse reasoning and calls where enabled; `is_thinking` starts inside <think>."""
        self._tools = tools
        self._held = ""
        self._state = _State.START if thinking else _State.CONTENT
        if is_thinking:
            self._state = _State.THINKING
        self._fresh = is_thinking
        self.calls = 0
        """Number of complete calls."""

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
        held, self._held = self._held, ""
        if self._state is _State.THINKING:
            return [Reasoning(held)] if held.strip() else []
        if self._state is _State.CALL:
            return [self._parse_call(held, closed=False)]
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
        if _END_CALL not in self._held:
            return False
        whole, tag, rest = self._held.partition(_END_CALL)
        part = self._parse_call(whole + tag, closed=True)
        parts.append(part)
        self._held = rest
        self._state = _State.AFTER_CALL if isinstance(part, Call) else _State.CONTENT
        return True

    def _parse_call(self, whole: str, *, closed: bool) -> Part:
        body = whole.lstrip().removeprefix(_CALL)
        call = parse_call(body.removesuffix(_END_CALL) if closed else body)
        if call is None:
            return Content(whole)
        self.calls += 1
        return call

    def _emit(self, parts: list[Part], kind: type[Content] | type[Reasoning], tag: str) -> None:
        """Emit all text except a possible start of the tag and the white space before it."""
        keep = len(self._held) - _overlap(self._held, tag)
        text = self._held[:keep].rstrip()
        parts.append(kind(text))
        self._held = self._held[len(text) :]


def parse_call(body: str) -> Call | None:
    """Parse the body of a tool call, or return None for an invalid one."""
    try:
        call = json.loads(body, parse_constant=_reject_constant)
        json.dumps(call, ensure_ascii=False).encode()  # unpaired surrogates have no UTF-8
    except (ValueError, RecursionError):
        return None
    if not isinstance(call, dict):
        return None
    name, arguments = call.get("name"), call.get("arguments", {})
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        return None
    return Call(name, arguments)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")


def _overlap(text: str, tag: str) -> int:
    """Return the length of the longest suffix of the text that is a prefix of the tag."""
    longest = min(len(tag) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(tag[:n])), 0)


def _joined(parts: list[Part]) -> list[Part]:
    """Drop empty text and join consecutive parts of content."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Call):
            joined.append(part)
        elif isinstance(part, Content) and isinstance(last, Content):
            joined[-1] = Content(last.text + part.text)
        elif part.text:
            joined.append(part)
    return joined
