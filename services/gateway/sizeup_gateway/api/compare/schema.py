"""Request bodies of the comparison; the fields of an answer are those of the dialect's chat."""

from typing import Annotated

from pydantic import Field

from sizeup_gateway.api.ollama import schema as ollama
from sizeup_gateway.api.openai import schema as openai
from sizeup_gateway.api.openai.message_schema import ChatCompletionMessageParam
from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import Integer, at_most, unsupported

MAX_MODELS = 16
MAX_SAMPLES = 8
MAX_ANSWERS = 64
"""Models x samples."""

Name = Annotated[str, Field(min_length=1, max_length=400)]
Names = Annotated[list[Name], Field(min_length=1, max_length=MAX_MODELS)]
OllamaMessages = Annotated[list[ollama.Message], Field(max_length=4096)]
OpenAIMessages = Annotated[list[ChatCompletionMessageParam], Field(max_length=4096)]
Samples = Annotated[Integer, Field(ge=1, le=MAX_SAMPLES)]


class CompareFields(RequestBody):
    """What a comparison has beside a chat request."""

    models: Names | None = None
    """Names of the models; either this or `family`."""
    family: Name | None = None
    """Every model of a family, as in "qwen2.5"."""
    samples: Samples | None = None
    """Answers of each model; sample i has the seed + i."""
    one_at_a_time: bool | None = None
    """Let the models answer one after another, for figures without each other's load."""
    prompt: str | None = None
    """One user message, in place of `messages`."""
    system: str | None = None
    """System message, before every other."""


class OllamaCompareRequest(CompareFields, ollama.ChatRequest):
    """`POST /api/compare`."""

    history: Annotated[dict[Name, OllamaMessages], at_most(MAX_ANSWERS)] | None = None
    """Earlier turns by model, before `messages`: each one's own answers."""


class OpenAICompareRequest(CompareFields, openai.ChatCompletionRequest):
    """`POST /v1/compare`."""

    messages: OpenAIMessages | None = None  # type: ignore[assignment]  # or `prompt`
    history: Annotated[dict[Name, OpenAIMessages], at_most(MAX_ANSWERS)] | None = None
    """Earlier turns by model, before `messages`: each one's own answers."""
    n: Annotated[None, unsupported("use samples")] = None


class StopRequest(RequestBody):
    """`POST /api/compare/stop`."""

    id: Annotated[str, Field(max_length=100)]
    """Of the comparison, from its first chunk."""
    model: Name
    sample: Annotated[Integer, Field(ge=0, lt=MAX_SAMPLES)] | None = None
    """None: every sample of the model."""
