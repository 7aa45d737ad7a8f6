"""Responses of Anthropic's Messages API, for the OpenAPI document.

Handlers build their responses as dictionaries and bytes: tests validate them against these models.
"""

from typing import Any, Literal

from sizeup_gateway.api.documentation import ResponseBody

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]


class AnthropicText(ResponseBody):
    """Text from the model."""

    type: Literal["text"]
    text: str


class AnthropicThinking(ResponseBody):
    """Thinking of the model."""

    type: Literal["thinking"]
    thinking: str
    signature: str
    """Without meaning."""


class AnthropicToolUse(ResponseBody):
    """A tool call from the model."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


AnthropicBlock = AnthropicText | AnthropicThinking | AnthropicToolUse


class AnthropicUsage(ResponseBody):
    """Token counts of a request."""

    input_tokens: int
    """Of the prompt, without those that were read from the prefix cache."""
    cache_creation_input_tokens: Literal[0]
    cache_read_input_tokens: int
    output_tokens: int


class AnthropicMessage(ResponseBody):
    """`POST /v1/messages`, not streamed."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[AnthropicBlock]
    stop_reason: StopReason | None
    """null at the start of a stream only."""
    stop_sequence: str | None
    """The one of `stop_sequences` that ended the text."""
    usage: AnthropicUsage


class BlockDelta(ResponseBody):
    """A piece of a content block."""

    type: Literal["text_delta", "thinking_delta", "signature_delta", "input_json_delta"]
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None


class MessageDelta(ResponseBody):
    """The end of a message."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageStreamEvent(ResponseBody):
    """An event of a stream of `POST /v1/messages`; the fields depend on its type."""

    type: Literal[
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
    ]
    message: AnthropicMessage | None = None
    index: int | None = None
    content_block: AnthropicBlock | None = None
    delta: BlockDelta | MessageDelta | None = None
    usage: AnthropicUsage | None = None


class MessageTokensCount(ResponseBody):
    """`POST /v1/messages/count_tokens`."""

    input_tokens: int
