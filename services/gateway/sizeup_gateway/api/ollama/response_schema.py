"""Responses of Ollama's API, for the OpenAPI document; field names are those of its api/types.go.

Handlers build their responses as dictionaries and bytes: tests validate them against these models.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from sizeup_gateway.api.documentation import ResponseBody


class VersionResponse(ResponseBody):
    """`GET /api/version`."""

    version: str


class ModelDetails(ResponseBody):
    """Architecture and size of a model."""

    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    """As in "494.03M"."""
    quantization_level: str
    context_length: int | None = None
    """In tokens; this and the next are absent while nothing has described the model."""
    embedding_length: int | None = None


class ListModelResponse(ResponseBody):
    """A model of the catalog."""

    name: str
    model: str
    size: int
    """Bytes of the weights; 0 while nothing has described the model."""
    digest: str
    modified_at: datetime
    details: ModelDetails
    capabilities: list[str]


class ListResponse(ResponseBody):
    """`GET /api/tags`."""

    models: list[ListModelResponse]


class ProcessModelResponse(ResponseBody):
    """A model with an inference process."""

    name: str
    model: str
    size: int
    """Bytes of memory taken by loading; while it loads, of the weights on disk."""
    digest: str
    details: ModelDetails
    expires_at: datetime
    """When the model is unloaded if idle."""
    size_vram: int
    context_length: int
    state: str
    """Not in Ollama: ready, loading, downloading, failed or unloaded."""
    load_duration: int | None = None
    """Not in Ollama: nanoseconds until the process was ready; absent while it loads."""


class ProcessResponse(ResponseBody):
    """`GET /api/ps`."""

    models: list[ProcessModelResponse]


class Tensor(ResponseBody):
    """A tensor of the weight files."""

    name: str
    type: str
    """As in safetensors."""
    shape: list[int]


class ShowResponse(ResponseBody):
    """`POST /api/show`."""

    license: str
    modelfile: str
    parameters: str
    template: str
    details: ModelDetails
    model_info: dict[str, Any]
    """Metadata by GGUF's keys. `tokenizer.ggml.tokens`, `.merges` and `.token_type` are null unless
    the request is verbose and the model has a process."""
    tensors: list[Tensor] | None = None
    """Where the request is verbose and the model has a process."""
    capabilities: list[str]
    modified_at: datetime
    system: str | None = None
    """This and the next are those of a created model."""
    messages: list[dict[str, Any]] | None = None


class ResponseToolCallFunction(ResponseBody):
    """The function of a tool call."""

    index: int
    name: str
    arguments: dict[str, Any]


class ResponseToolCall(ResponseBody):
    """A tool call from the model."""

    id: str
    function: ResponseToolCallFunction


class ResponseMessage(ResponseBody):
    """A message by the model; in a stream, a piece of one."""

    role: Literal["assistant"]
    content: str
    thinking: str | None = None
    tool_calls: list[ResponseToolCall] | None = None
    images: None = None


class TopLogprob(ResponseBody):
    """One of the likeliest tokens."""

    token: str
    logprob: float
    bytes: list[int]


class Logprob(TopLogprob):
    """A generated token."""

    top_logprobs: list[TopLogprob] | None = None


class Statistics(ResponseBody):
    """Counts and durations in the last object."""

    total_duration: int | None = None
    """In nanoseconds, like the durations below."""
    load_duration: int | None = None
    prompt_eval_count: int | None = None
    prompt_eval_duration: int | None = None
    eval_count: int | None = None
    eval_duration: int | None = None
    draft_count: int | None = None
    draft_accepted_count: int | None = None


class ChatResponse(Statistics):
    """`POST /api/chat`: the whole response, or one line of a stream."""

    model: str
    created_at: datetime
    message: ResponseMessage
    done: bool
    done_reason: Literal["stop", "length", "load", "unload"] | None = None
    logprobs: list[Logprob] | None = None


class GenerateResponse(Statistics):
    """`POST /api/generate`: the whole response, or one line of a stream."""

    model: str
    created_at: datetime
    response: str
    done: bool
    done_reason: Literal["stop", "length", "load", "unload"] | None = None
    thinking: str | None = None
    context: list[int] | None = None
    """Token ids of prompt and response."""
    logprobs: list[Logprob] | None = None


class EmbedResponse(ResponseBody):
    """`POST /api/embed`. Without an input, only the model and no embeddings."""

    model: str
    embeddings: list[list[float]]
    """A vector of length 1 for each input."""
    total_duration: int | None = None
    """In nanoseconds, as the next."""
    load_duration: int | None = None
    prompt_eval_count: int | None = None


class EmbeddingResponse(ResponseBody):
    """`POST /api/embeddings`."""

    embedding: list[float]
    """As the model makes it; empty without a prompt."""


class ProgressResponse(ResponseBody):
    """`POST /api/pull` and `/api/create`: one line of a stream; the last one is `success`."""

    status: str
    digest: str | None = None
    total: int | None = None
    """In bytes, like `completed`."""
    completed: int | None = None


class DebugInfo(ResponseBody):
    """The rendered prompt."""

    rendered_template: str


class DebugTemplateResponse(ResponseBody):
    """Response to a request with `_debug_render_only`."""

    model: str
    created_at: datetime
    debug_info: DebugInfo = Field(alias="_debug_info")
