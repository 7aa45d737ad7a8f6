"""A streamed response, and the parts that both APIs have in common."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sizeup_loadtest.data.record import ServerTimes

Json = dict[str, Any]
MAX_ERROR_CHARACTERS = 500
_THINK, _END_THINK = "<think>", "</think>"
"""What Qwen and DeepSeek put around their thinking where the server does not separate it."""


class MalformedResponseError(Exception):
    """The bytes of a response are not what its API defines."""


@dataclass(slots=True)
class StreamedResponse:
    is_stream: bool = False
    """Whether anything in the format of the API has arrived."""
    chunk_ns: list[int] = field(default_factory=list)
    """Arrival of every chunk with text, thinking or a tool call."""
    text: list[str] = field(default_factory=list)
    answer_ns: int | None = None
    """Arrival of the first chunk of the answer, apart from thinking."""
    first_tokens: int | None = None
    """Tokens of the first chunk, where the server sends usage or logprobs with it."""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    finish_reason: str | None = None
    finished_ns: int | None = None
    """Arrival of the chunk with the finish reason."""
    complete: bool = False
    """Whether the final event of the API arrived, or a finish reason and then end of stream."""
    error: str = ""
    """An error inside the stream."""
    server: ServerTimes | None = None
    _content_ns: int | None = None

    def add(self, at_ns: int, content: object, thinking: object, tool_calls: object) -> bool:
        """Add a chunk; False when it has none of the three, as one with only a role."""
        if isinstance(content, str):
            self.text.append(content)
        if not (content or thinking or tool_calls):
            return False
        self.chunk_ns.append(at_ns)
        if self.answer_ns is None and (content or tool_calls):
            self._content_ns = self._content_ns or at_ns
            self.answer_ns = at_ns if tool_calls else self._answer_begin(at_ns)
        return True

    def _answer_begin(self, at_ns: int) -> int | None:
        """Return when the answer began, None while `<think>` is open or may still come."""
        text = "".join(self.text).lstrip()
        if text.startswith(_THINK):
            return at_ns if text.partition(_END_THINK)[2].strip() else None
        return None if _THINK.startswith(text) else self._content_ns


@dataclass(slots=True)
class LineReader(ABC):
    """Reads a stream line by line into `response`; the subclass of an API parses the lines."""

    response: StreamedResponse = field(default_factory=StreamedResponse)
    _rest: bytes = b""

    def feed(self, data: bytes, at_ns: int) -> None:
        """Parse bytes that arrived together; MalformedResponseError when they are invalid."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.line(line, at_ns)

    @abstractmethod
    def line(self, line: bytes, at_ns: int) -> None: ...

    def end(self, at_ns: int) -> None:
        """Parse what no newline or empty line ends; some servers of OpenAI's API send no [DONE]."""
        with suppress(MalformedResponseError):
            self.feed(b"\n\n", at_ns)
        self.response.complete |= self.response.finish_reason is not None


def parse(data: bytes) -> Json:
    """Parse one JSON object; MalformedResponseError quotes anything else."""
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise MalformedResponseError(f"not a JSON object: {data[:80]!r}")
    return value


def error_message(value: Mapping[str, Any]) -> str:
    """Return the message of an error in OpenAI's or Ollama's format, empty without an error."""
    error = value.get("error")
    if isinstance(error, dict):
        error = error.get("message") or json.dumps(error)
    return "" if error is None else shorten(str(error) or "error without a message")


def merged(body: Json, extra: Mapping[str, Any]) -> Json:
    """Return a body with further parameters; objects such as `options` are merged key by key."""
    nested = {
        name: merged(body[name], value)
        for name, value in extra.items()
        if isinstance(value, dict) and isinstance(body.get(name), dict)
    }
    return {**body, **extra, **nested}


def shorten(text: str) -> str:
    return text[:MAX_ERROR_CHARACTERS]


def as_count(value: object) -> int | None:
    """Return an integer of a response, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return an object of a response, empty for anything else."""
    return value if isinstance(value, dict) else {}
