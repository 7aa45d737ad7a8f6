"""An answer as far as it has arrived."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sizeup_loadtest.data.record import Planned, ServerTimes
from sizeup_loadtest.workload.prompts import Prompt

Json = dict[str, Any]
MAX_ERROR_CHARACTERS = 500


class UnreadableError(Exception):
    """Bytes of a stream that are not what its API sends."""


@dataclass(slots=True)
class Answer:
    """What the chunks so far said."""

    chunk_ns: list[int] = field(default_factory=list)
    """Arrival of every chunk with text, thinking or a tool call."""
    text: list[str] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    finished_ns: int | None = None
    """Arrival of the chunk with the finish reason."""
    complete: bool = False
    """The API's last event has come, or the finish reason and then the stream's own end."""
    error: str = ""
    """An error inside the stream."""
    server: ServerTimes | None = None


class Reader(Protocol):
    """Understand one stream."""

    answer: Answer

    def feed(self, data: bytes, at_ns: int) -> None:
        """Take bytes that arrived together; UnreadableError when they make no sense."""

    def end(self, at_ns: int) -> None:
        """Take what is left when the stream has ended as it should; half an event is none."""


class Dialect(Protocol):
    """How one API asks and answers."""

    path: str

    def body(self, planned: Planned, prompt: Prompt) -> Json:
        """Return the request."""

    def reader(self) -> Reader:
        """Return a reader for one answer."""


def parse(data: bytes) -> Json:
    """Read one JSON object; UnreadableError quotes what is none."""
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UnreadableError(f"not a JSON object: {data[:80]!r}")
    return value


def error_of(value: Mapping[str, Any]) -> str:
    """Return the words of an error in either API's shape, empty for none."""
    error = value.get("error")
    if isinstance(error, dict):
        error = error.get("message") or json.dumps(error)
    return "" if error is None else cut(str(error) or "an error without words")


def cut(text: str) -> str:
    """Shorten what a stranger said."""
    return text[:MAX_ERROR_CHARACTERS]


def count_of(value: object) -> int | None:
    """Return a count a server gives, if it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def mapping_of(value: object) -> Mapping[str, Any]:
    """Return an object a server gives, empty when it is none."""
    return value if isinstance(value, dict) else {}
