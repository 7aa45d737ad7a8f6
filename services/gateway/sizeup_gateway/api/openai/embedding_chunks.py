"""Events -> the response of /v1/embeddings. Pure."""

from collections.abc import Sequence
from typing import Literal

from sizeup_gateway.errors import InvalidRequestError
from sizeup_gateway.responses.framing import Json, Timing
from sizeup_gateway.responses.vectors import Vectors, to_base64, to_numbers
from sizeup_wire.embeddings import Embedding, EmbedEvent
from sizeup_wire.events import Finished

_COMPONENT_BYTES = 4


class EmbeddingChunks:
    """The response, which is always whole."""

    def __init__(
        self, model: str, encoding: Literal["float", "base64"], dimensions: int | None
    ) -> None:
        """`model` is the name as the client wrote it; `dimensions` those that it requests."""
        self._model = model
        self._encode = to_base64 if encoding == "base64" else to_numbers
        self._dimensions = dimensions or 0
        self._prompt_tokens = 0
        self._vectors = Vectors()

    def to_chunks(self, event: EmbedEvent, timing: Timing) -> Sequence[Json]:
        return ()

    def collect(self, event: EmbedEvent) -> int:
        """Collect an event; raise InvalidRequestError for a vector with fewer dimensions."""
        match event:
            case Embedding():
                size = self._vectors.add(event)
                if size and size // _COMPONENT_BYTES < self._dimensions:
                    raise InvalidRequestError(
                        f"dimensions: must be at most {size // _COMPONENT_BYTES}", "dimensions"
                    )
                return size
            case Finished():
                self._prompt_tokens = event.prompt_tokens
        return 0

    def to_response(self, timing: Timing) -> Json:
        tokens = self._prompt_tokens
        return {
            "object": "list",
            "data": self._vectors.to_json(self._entry),
            "model": self._model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def _entry(self, index: int, vector: bytes) -> bytes:
        return b'{"object":"embedding","index":%d,"embedding":%b}' % (index, self._encode(vector))
