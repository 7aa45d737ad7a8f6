"""`POST /internal/v1/embeddings`: the request, and the response, one JSON event per line.

A stream is `started`, an `embedding` for each prompt, in order, then exactly one terminal event:
`finished`, or `failed` in place of anything that is missing.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from sizeup_wire.events import Failed, Finished, Started
from sizeup_wire.generate import TextPrompt, TokenPrompt
from sizeup_wire.message import RequestModel, ResponseModel

MAX_INPUTS = 2048
"""OpenAI's upper bound of the inputs of a request."""

EmbedPrompt = Annotated[TextPrompt | TokenPrompt, Field(discriminator="kind")]


class EmbedRequest(RequestModel):
    """Embed each prompt, by the pooling that the model is made for, else by the mean."""

    prompts: tuple[EmbedPrompt, ...] = Field(min_length=1, max_length=MAX_INPUTS)
    truncate: bool = True
    """Cut a prompt that does not fit at its end, before the tokens that the tokenizer appends."""
    max_context: int | None = Field(None, ge=1)
    """Maximum tokens of a prompt, below the model's own context length (Ollama's num_ctx)."""
    dimensions: int | None = Field(None, ge=1)
    """Keep the first components (Matryoshka); a vector that has no more stays whole."""
    normalize: bool = False
    """Scale each vector to length 1, after the cut. A model may do so in any case."""
    # As in GenerateRequest:
    cache_salt: str | None = Field(None, min_length=1, max_length=128)
    client: str | None = Field(None, min_length=1, max_length=128)
    keep_alive_seconds: float | None = None


class Embedding(ResponseModel):
    """The vector of one prompt."""

    event: Literal["embedding"] = "embedding"
    index: int
    """Of the prompt."""
    vector: str
    """float32, little-endian, in base64: exact, and a third of the bytes of JSON numbers."""
    prompt_tokens: int


EmbedEvent = Annotated[Started | Embedding | Finished | Failed, Field(discriminator="event")]

embed_event_adapter: TypeAdapter[EmbedEvent] = TypeAdapter(EmbedEvent)
"""Parses one line of the stream."""
