"""JSON -> bytes: server-sent events of OpenAI and Anthropic, NDJSON of Ollama, whole responses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from starlette.responses import Response

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


class JsonResponse(Response):
    """JSON with a charset in its Content-Type, as Ollama sends it."""

    media_type = JSON_TYPE

    def render(self, content: Any) -> bytes:
        return encode(content)


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


@dataclass(frozen=True, slots=True)
class Framing:
    """Delimits the chunks of a stream."""

    media_type: str
    encode: Callable[[Json], bytes]
    to_error: Callable[[GatewayError], Sequence[Json]]
    """Returns the last chunks of a stream that ends in an error."""
    end: bytes = b""
    """The bytes after the last chunk."""

    def frame(self, chunks: Sequence[Json]) -> bytes:
        """Return the bytes of some chunks; empty for none."""
        return b"".join(map(self.encode, chunks))

    def error(self, error: GatewayError) -> bytes:
        return self.frame(self.to_error(error)) + self.end


NDJSON = Framing(
    NDJSON_TYPE, lambda chunk: encode(chunk) + b"\n", lambda error: [ollama_body(error)]
)
"""Ollama's: one JSON object per line and nothing else: clients parse every line."""

SSE = Framing(
    SSE_TYPE,
    lambda chunk: b"data: " + encode(chunk) + b"\n\n",
    lambda error: [openai_body(error)],
    end=b"data: [DONE]\n\n",  # after an error as well, which some clients ignore
)
"""OpenAI's: `data:` events, the last of them [DONE]."""


def named_events(to_error: Callable[[GatewayError], Sequence[Json]]) -> Framing:
    """Frame as Anthropic's API and OpenAI's Responses API do: events are named by their `type`."""
    return Framing(SSE_TYPE, _named_event, to_error)


def _named_event(chunk: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (chunk["type"].encode(), encode_whole(chunk))
