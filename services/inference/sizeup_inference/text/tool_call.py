"""Tool calls as models write them, small ones included. Pure; time is linear in the text.

The format of Hermes and Qwen is `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`. Read as
well: arguments as `parameters`, as JSON in a string, as null or beside the name, OpenAI's wrapping
`function`, line breaks in strings, commas and braces too many at the end, and a tag that was opened
twice. What remains unreadable is no call.
"""

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sizeup_inference.text.output_schema import MAX_DEPTH, levels

BEGIN, END = "<tool_call>", "</tool_call>"

_DECODER = json.JSONDecoder(strict=False)
_MARK = re.compile(rf'"|\\.|{END}', re.DOTALL)
"""What begins or ends a string, an escape in one, or the end of a call."""
_STRING_OR_COMMA = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*"?)|,(?=\s*[\]}])', re.DOTALL)
"""A string, which may be open and hold commas, or a comma before a closing bracket."""


@dataclass(frozen=True, slots=True)
class Call:
    """A complete tool call."""

    name: str
    arguments: dict[str, Any]


class EndFinder:
    """Finds the tag that ends a call, outside of its JSON strings, in text that grows."""

    def __init__(self) -> None:
        self._position = 0
        self._in_string = False

    def find(self, text: str) -> int | None:
        """Return where the tag begins, or None as long as there is none.

        `text` is all of the call so far; what was looked at before is not looked at again.
        """
        while found := _MARK.search(text, self._position):
            if found[0] == END and not self._in_string:
                return found.start()
            if found[0] == '"':
                self._in_string = not self._in_string
            # a backslash outside of a string escapes nothing
            escapes_nothing = found[0][0] == "\\" and not self._in_string
            self._position = found.start() + 1 if escapes_nothing else found.end()
        # the end of the text may begin a mark
        self._position = max(self._position, len(text) - len(END) + 1)
        return None


def parse_call(body: str) -> Call | None:
    """Parse a call, with its opening tag or without, or return None."""
    text = body.strip()
    while text.startswith(BEGIN):
        text = text.removeprefix(BEGIN).lstrip()
    value = _parse_object(text)
    if value is not None and isinstance(value.get("function"), dict):
        value = value["function"]
    if value is None or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = _arguments(value)
    return None if arguments is None else Call(value["name"], arguments)


def _arguments(call: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments, wherever they are; None if they are no object."""
    given = [call[key] for key in ("arguments", "parameters") if key in call]
    if not given:
        wrapper = ("name", "id", "type") if call.get("type") == "function" else ("name",)
        return {key: value for key, value in call.items() if key not in wrapper}
    objects = [_to_object(value) for value in given]
    if None in objects:
        return None
    return next((found for found in objects if found), {})


def _to_object(value: object) -> dict[str, Any] | None:
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        return _parse_object(value.strip())
    return value if isinstance(value, dict) else None


def _parse_object(text: str) -> dict[str, Any] | None:
    """Parse a JSON object with line breaks in its strings, and more at its end than belongs."""
    for candidate in (text, _without_trailing_commas(text)):
        try:
            value, end = _DECODER.raw_decode(candidate)
            # Unpaired surrogates have no UTF-8, NaN and 1e999 no JSON.
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and not candidate[end:].strip("}], \t\r\n"):
            # Deeper ones the gateway would not accept back in a later request.
            return None if any(islice(levels(value), MAX_DEPTH, None)) else value
    return None


def _without_trailing_commas(text: str) -> str:
    """Drop commas before a closing bracket, outside of strings."""
    return _STRING_OR_COMMA.sub(lambda found: found[1] or "", text)
