"""Responses of the Responses API, for the OpenAPI document.

Handlers build their responses as dictionaries and bytes: tests validate them against these models.
"""

from typing import Any, Literal

from sizeup_gateway.api.documentation import ResponseBody
from sizeup_gateway.api.openai.response_schema import ChatCompletionTokenLogprob

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(ResponseBody):
    """The text of a message."""

    type: Literal["output_text"]
    annotations: list[Any]
    """Always empty."""
    logprobs: list[ChatCompletionTokenLogprob]
    text: str


class ReasoningPart(ResponseBody):
    """The text of reasoning."""

    type: Literal["reasoning_text", "summary_text"]
    text: str


class OutputMessage(ResponseBody):
    """Text from the model."""

    id: str
    type: Literal["message"]
    status: ItemStatus
    role: Literal["assistant"]
    content: list[OutputText]


class OutputReasoning(ResponseBody):
    """Reasoning of the model."""

    id: str
    type: Literal["reasoning"]
    status: ItemStatus
    summary: list[ReasoningPart]
    """With `reasoning.summary`: the reasoning as its own summary."""
    content: list[ReasoningPart] | None = None
    """Without `reasoning.summary`."""
    encrypted_content: str | None = None
    """With `include`: the reasoning for a later request, not encrypted."""


class OutputFunctionCall(ResponseBody):
    """A function call from the model."""

    id: str
    type: Literal["function_call"]
    status: ItemStatus
    call_id: str
    name: str
    namespace: str | None = None
    arguments: str
    """A JSON object as a string."""


OutputItem = OutputMessage | OutputReasoning | OutputFunctionCall


class InputTokensDetails(ResponseBody):
    """Breakdown of the input tokens."""

    cached_tokens: int
    cache_write_tokens: Literal[0]


class OutputTokensDetails(ResponseBody):
    """Breakdown of the output tokens."""

    reasoning_tokens: int


class ResponseUsage(ResponseBody):
    """Token counts of a request."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseError(ResponseBody):
    """Why a response failed."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    message: str


class IncompleteDetails(ResponseBody):
    """Why a response is incomplete."""

    reason: Literal["max_output_tokens"]


class ResponseObject(ResponseBody):
    """`POST /v1/responses`, not streamed. Fields of the request are repeated."""

    object: Literal["response"]
    id: str
    created_at: int
    model: str
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    background: Literal[False]
    completed_at: int | None
    error: ResponseError | None
    frequency_penalty: float
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    output: list[OutputItem]
    parallel_tool_calls: bool
    presence_penalty: float
    previous_response_id: None
    prompt_cache_key: str | None
    reasoning: dict[str, str | None]
    safety_identifier: str | None
    service_tier: Literal["default"]
    store: Literal[False]
    temperature: float
    """The one in effect, like top_p."""
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    """Those that the model was offered."""
    top_logprobs: int
    top_p: float
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsage | None
    user: str | None


class ResponseStreamEvent(ResponseBody):
    """An event of a stream of `POST /v1/responses`; the fields depend on its type."""

    type: str
    sequence_number: int
    response: ResponseObject | None = None
    item: OutputItem | None = None
    part: OutputText | ReasoningPart | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    delta: str | None = None
    text: str | None = None
    logprobs: list[ChatCompletionTokenLogprob] | None = None
    name: str | None = None
    arguments: str | None = None


class InputTokens(ResponseBody):
    """`POST /v1/responses/input_tokens`."""

    object: Literal["response.input_tokens"]
    input_tokens: int
