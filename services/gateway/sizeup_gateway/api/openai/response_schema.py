"""Responses of OpenAI's API, for the OpenAPI document.

Handlers build their responses as dictionaries and bytes: tests validate them against these models.
"""

from typing import Literal

from sizeup_gateway.api.documentation import ResponseBody


class Model(ResponseBody):
    """A model of the catalog."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    state: str
    """Not in OpenAI's API: ready, loading, downloading, failed or unloaded."""
    max_model_len: int | None = None
    """vLLM's field: context length in tokens; absent while nothing has described the
    model."""
    progress: float | None = None
    """Not in OpenAI's API: progress of loading or downloading, 0 to 1."""


class ModelList(ResponseBody):
    """`GET /v1/models`."""

    object: Literal["list"]
    data: list[Model]


class PromptTokensDetails(ResponseBody):
    """Breakdown of the prompt tokens."""

    cached_tokens: int


class CompletionTokensDetails(ResponseBody):
    """Breakdown of the completion tokens."""

    reasoning_tokens: int
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None


class CompletionUsage(ResponseBody):
    """Token counts of a request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class FunctionCallResponse(ResponseBody):
    """The function of a tool call; in a stream, a piece of it."""

    name: str | None = None
    arguments: str
    """A JSON object as a string; in a stream, to be concatenated."""


class ChatCompletionMessageToolCall(ResponseBody):
    """A tool call from the model."""

    id: str
    type: Literal["function"]
    function: FunctionCallResponse


class ChoiceDeltaToolCall(ResponseBody):
    """A piece of a tool call; only the first has `id` and `type`."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionCallResponse


class ChatCompletionMessage(ResponseBody):
    """A message from the model."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning: str | None = None
    """Ollama's name for the thinking text, beside vLLM's `reasoning_content`."""
    reasoning_content: str | None = None
    tool_calls: list[ChatCompletionMessageToolCall] | None = None


class ChoiceDelta(ResponseBody):
    """A piece of a message from the model."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ChoiceDeltaToolCall] | None = None


class ChatCompletionTopLogprob(ResponseBody):
    """One of the likeliest tokens."""

    token: str
    logprob: float
    bytes: list[int]


class ChatCompletionTokenLogprob(ChatCompletionTopLogprob):
    """A generated token."""

    top_logprobs: list[ChatCompletionTopLogprob]


class ChoiceLogprobs(ResponseBody):
    """Log-probabilities of a message."""

    content: list[ChatCompletionTokenLogprob]
    refusal: None


FinishReason = Literal["stop", "length", "tool_calls"]


class ChatCompletionChoice(ResponseBody):
    """One of `n` choices."""

    index: int
    message: ChatCompletionMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason


class ChatCompletionChunkChoice(ResponseBody):
    """A piece of one of `n` choices."""

    index: int
    delta: ChoiceDelta
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason | None


class CompletionObject(ResponseBody):
    """Fields of every completion, and of every chunk of one."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str | None


class ChatCompletion(CompletionObject):
    """`POST /v1/chat/completions`, not streamed."""

    object: Literal["chat.completion"]
    choices: list[ChatCompletionChoice]
    usage: CompletionUsage


class ChatCompletionChunk(CompletionObject):
    """An event of a stream of `POST /v1/chat/completions`."""

    object: Literal["chat.completion.chunk"]
    choices: list[ChatCompletionChunkChoice]
    """Empty in the last chunk with `stream_options.include_usage`."""
    usage: CompletionUsage | None = None


class Embedding(ResponseBody):
    """A vector of length 1."""

    object: Literal["embedding"]
    index: int
    """Of the input."""
    embedding: list[float] | str


class EmbeddingUsage(ResponseBody):
    """Token counts of the inputs."""

    prompt_tokens: int
    total_tokens: int


class CreateEmbeddingResponse(ResponseBody):
    """`POST /v1/embeddings`."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class CompletionLogprobs(ResponseBody):
    """Log-probabilities of a text, one entry per token in each list."""

    tokens: list[str]
    token_logprobs: list[float | None]
    """null for the first token of an echoed prompt."""
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]
    """In characters."""


class CompletionChoice(ResponseBody):
    """One of the choices; in a stream, a piece of it."""

    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None


class Completion(CompletionObject):
    """`POST /v1/completions`: the whole response, or one event of a stream."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]
    """Empty in the last event with `stream_options.include_usage`."""
    usage: CompletionUsage | None = None
