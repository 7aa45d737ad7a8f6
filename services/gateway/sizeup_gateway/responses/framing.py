"""Chunks -> bytes: server-sent events for OpenAI, one JSON object a line for Ollama."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sizeup_gateway.errors import GatewayError, ollama_body, openai_body
from sizeup_gateway.responses.json_bytes import encode
from sizeup_wire.events import Event

Json = dict[str, Any]

NDJSON_TYPE = "application/x-ndjson"
SSE_TYPE = "text/event-stream; charset=utf-8"
JSON_TYPE = "application/json; charset=utf-8"

STREAM_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would hold the chunks back
}

_SSE_DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened."""

    at: datetime
    """UTC."""
    elapsed_ns: int
    """Since the request arrived."""


class Chunks(Protocol):
    """Translate one request's events into a dialect; made anew for each request."""

    def to_chunks(self, event: Event, moment: Moment) -> Sequence[Json]:
        """Return what the person is sent for one event, perhaps nothing; never for Failed."""

    def gather(self, event: Event) -> int:
        """Keep an event for a reply in one piece, and return how many bytes of it that is."""

    def to_reply(self, moment: Moment) -> Json:
        """Return the whole answer as one object, once everything has been gathered.

        What grows with the answer is in it as `Written`.
        """


class Framing(Protocol):
    """Put chunks into bytes."""

    media_type: str

    def frame(self, chunks: Sequence[Json]) -> bytes:
        """Return the bytes of some chunks, empty for none."""

    def end(self) -> bytes:
        """Return what follows the last chunk of an answer that ended well."""

    def failure(self, error: GatewayError) -> bytes:
        """Return the last bytes of a stream that ends in an error."""


class NdjsonFraming:
    """Ollama's: a JSON object and a newline; nothing else, since clients parse every line."""

    media_type = NDJSON_TYPE

    def frame(self, chunks: Sequence[Json]) -> bytes:
        """Write a line per chunk."""
        return b"".join(encode(chunk) + b"\n" for chunk in chunks)

    def end(self) -> bytes:
        """Write nothing: the chunk with `done: true` is the end."""
        return b""

    def failure(self, error: GatewayError) -> bytes:
        """Write the error as the last line."""
        return self.frame([ollama_body(error)])


class SseFraming:
    """OpenAI's: `data:` events, the last of them [DONE]."""

    media_type = SSE_TYPE

    def frame(self, chunks: Sequence[Json]) -> bytes:
        """Write an event per chunk."""
        return b"".join(b"data: " + encode(chunk) + b"\n\n" for chunk in chunks)

    def end(self) -> bytes:
        """Write [DONE]."""
        return _SSE_DONE

    def failure(self, error: GatewayError) -> bytes:
        """Write the error, then [DONE]: readers that skip it still stop waiting."""
        return self.frame([openai_body(error)]) + _SSE_DONE
