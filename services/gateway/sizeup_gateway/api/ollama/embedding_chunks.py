"""Events -> the responses of /api/embed and /api/embeddings. Pure."""

from collections.abc import Sequence

from sizeup_gateway.responses.framing import Json, Timing
from sizeup_gateway.responses.json_bytes import JsonFragment
from sizeup_gateway.responses.vectors import Vectors, to_bytes, to_numbers
from sizeup_wire.embeddings import Embedding, EmbedEvent
from sizeup_wire.events import Finished, Started


class EmbedChunks:
    """The response of /api/embed, which is always whole."""

    def __init__(self, model: str) -> None:
        """`model` is the name as the client wrote it."""
        self._model = model
        self._load_ns = self._prompt_tokens = 0
        self._vectors = Vectors()

    def to_chunks(self, event: EmbedEvent, timing: Timing) -> Sequence[Json]:
        return ()

    def collect(self, event: EmbedEvent) -> int:
        match event:
            case Started():
                self._load_ns = event.load_ns
            case Embedding():
                return self._vectors.add(event)
            case Finished():
                self._prompt_tokens = event.prompt_tokens
        return 0

    def to_response(self, timing: Timing) -> Json:
        return {
            "model": self._model,
            "embeddings": self._vectors.to_json(lambda _index, vector: to_numbers(vector)),
            "total_duration": timing.elapsed_ns,
            "load_duration": self._load_ns,
            "prompt_eval_count": self._prompt_tokens,
        }


class EmbeddingChunks:
    """The response of /api/embeddings, of one vector."""

    def __init__(self) -> None:
        self._vector = b"[]"

    def to_chunks(self, event: EmbedEvent, timing: Timing) -> Sequence[Json]:
        return ()

    def collect(self, event: EmbedEvent) -> int:
        if not isinstance(event, Embedding):
            return 0
        self._vector = to_numbers(to_bytes(event))
        return len(self._vector)

    def to_response(self, timing: Timing) -> Json:
        return {"embedding": JsonFragment((self._vector,))}
