"""Chunks -> bytes: server-sent events for OpenAI and Anthropic, NDJSON for Ollama."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sizeup_gateway.errors import GatewayError, ollama_body, openai_body
from sizeup_gateway.responses.json_bytes import encode, encode_whole

Json = dict[str, Any]

NDJSON_TYPE = "application/x-ndjson"
SSE_TYPE = "text/event-stream; charset=utf-8"
JSON_TYPE = "application/json; charset=utf-8"

STREAM_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # disables nginx's response buffering
}

_SSE_DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Timing:
    at: datetime
    """UTC."""
    elapsed_ns: int
    """Since the request arrived."""


EventT = TypeVar("EventT", contravariant=True)


class Chunks(Protocol[EventT]):
    """Converts the events of one request to a dialect; one instance per request."""

    def to_chunks(self, event: EventT, timing: Timing) -> Sequence[Json]:
        """Return the chunks of one event, possibly none."""

    def collect(self, event: EventT) -> int:
        """Keep an event for the whole response and return its encoded size in bytes."""

    def to_response(self, timing: Timing) -> Json:
        """Return the whole response, once all events have been collected.

        Values that grow with the number of tokens are `JsonFragment`s.
        """


class Framing(Protocol):
    """Delimits the chunks of a stream."""

    media_type: str

    def frame(self, chunks: Sequence[Json]) -> bytes:
        """Return the bytes of some chunks; empty for none."""

    def end(self) -> bytes:
        """Return the bytes after the last chunk of a completed stream."""

    def error(self, error: GatewayError) -> bytes:
        """Return the last bytes of a stream that ends in an error."""


class NdjsonFraming:
    """Ollama's framing: one JSON object per line and nothing else: clients parse every line."""

    media_type = NDJSON_TYPE

    def frame(self, chunks: Sequence[Json]) -> bytes:
        return b"".join(encode(chunk) + b"\n" for chunk in chunks)

    def end(self) -> bytes:
        return b""  # the chunk with `done: true` ends the stream

    def error(self, error: GatewayError) -> bytes:
        return self.frame([ollama_body(error)])


class SseFraming:
    """OpenAI's framing: `data:` events, the last of them [DONE]."""

    media_type = SSE_TYPE

    def frame(self, chunks: Sequence[Json]) -> bytes:
        return b"".join(b"data: " + encode(chunk) + b"\n\n" for chunk in chunks)

    def end(self) -> bytes:
        return _SSE_DONE

    def error(self, error: GatewayError) -> bytes:
        """Return the error and [DONE]: clients that ignore the error still see the end."""
        return self.frame([openai_body(error)]) + _SSE_DONE


class NamedEventFraming:
    """Anthropic's framing, and that of OpenAI's Responses API: events named by their `type`."""

    media_type = SSE_TYPE

    def __init__(self, to_error: Callable[[GatewayError], Sequence[Json]]) -> None:
        """`to_error` returns the last objects of a stream that ends in an error."""
        self._to_error = to_error

    def frame(self, chunks: Sequence[Json]) -> bytes:
        return b"".join(
            b"event: %b\ndata: %b\n\n" % (chunk["type"].encode(), encode_whole(chunk))
            for chunk in chunks
        )

    def end(self) -> bytes:
        return b""  # the last object ends the stream

    def error(self, error: GatewayError) -> bytes:
        return self.frame(self._to_error(error))
