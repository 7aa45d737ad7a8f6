"""The arguments of a tool call while they are written, as valid JSON text. Pure, linear time.

Only the form that models are taught is streamed: the name first, then an object of arguments. Every
other form is read by `tool_call` once it is complete.
"""

import json
import re
from dataclasses import dataclass
from enum import Enum, auto

from sizeup_inference.text.tool_call import Call

_HEAD = re.compile(
    r'\s*(?:<tool_call>\s*)+\{\s*"name"\s*:\s*("(?:[^"\\\x00-\x1f]|\\.)+")\s*,'
    r'\s*"(?:arguments|parameters)"\s*:\s*\{\s*(?=[^\s}])'
)
"""The beginning of a call with at least one argument, up to its first key."""

_MAX_HEAD_CHARACTERS = 1024
"""Of the text in which a head is looked for; the pattern is tried again as it grows."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The name of a call."""

    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The next part of its arguments; the parts together are a JSON object."""

    text: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The end of a call that was streamed."""

    call: Call | None
    """None where the text is no valid call, and its arguments are no JSON."""


CallPart = CallStarted | CallArguments


class _State(Enum):
    HEAD = auto()
    ARGUMENTS = auto()
    DONE = auto()


class CallStream:
    """Reads one call in text that grows."""

    def __init__(self) -> None:
        self._state = _State.HEAD
        self._position = 0
        self._depth = 1
        self._in_string = self._escaped = False
        self._comma = False
        """A comma that is left out where a bracket follows it."""
        self.started = False
        """Whether the call has been streamed in part."""

    def feed(self, text: str) -> list[CallPart]:
        """Return the parts that were added; `text` is all of the call so far."""
        parts: list[CallPart] = []
        if self._state is _State.HEAD and (head := self._head(text)):
            parts += [CallStarted(head), CallArguments("{")]
        if self._state is _State.ARGUMENTS:
            arguments = "".join(map(self._add, text[self._position :]))
            self._position = len(text)
            if arguments:
                parts.append(CallArguments(arguments))
        return parts

    def _head(self, text: str) -> str | None:
        found = _HEAD.match(text)
        if found is None:
            if len(text) > _MAX_HEAD_CHARACTERS:
                self._state = _State.DONE
            return None
        try:
            name: str = json.loads(found[1])
        except ValueError:
            self._state = _State.DONE
            return None
        self._state, self._position, self.started = _State.ARGUMENTS, found.end(), True
        return name

    def _add(self, character: str) -> str:
        """Return what a character adds to the arguments."""
        if self._state is _State.DONE:
            return ""
        if self._in_string:
            return self._add_to_string(character)
        if character.isspace():
            return ""
        if character == ",":
            self._comma = True
            return ""
        closes = character in "}]"
        comma = "," if self._comma and not closes else ""
        self._comma = False
        self._in_string = character == '"'
        self._depth += (character in "{[") - closes
        if not self._depth:
            self._state = _State.DONE
        return comma + character

    def _add_to_string(self, character: str) -> str:
        self._in_string = self._escaped or character != '"'
        self._escaped = character == "\\" and not self._escaped
        return json.dumps(character)[1:-1] if character < " " else character
