"""Request bodies of Anthropic's Messages API. `cache_control` and fields of betas are ignored."""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import MAX_TOOLS, Integer, StopString, type_of, unsupported
from sizeup_gateway.api.text_parts import text_of
from sizeup_wire.generate import MAX_MESSAGES, MAX_STOP_STRINGS

_MAX_COUNT = 2**31 - 1
_BILLING_HEADER = "x-anthropic-billing-header:"
"""Claude Code's first system block: it is for Anthropic's API, not for the model, and differs from
request to request, so that no prefix of the prompt would be cached."""
_RESULT_PARTS = {"text": "text", "tool_reference": "tool_name"}

Count = Annotated[Integer, Field(ge=0, le=_MAX_COUNT)]


def _system_text(value: object) -> object:
    if isinstance(value, list):
        value = [block for block in value if not _is_billing_header(block)]
    return text_of(value, {"text": "text"}, "\n")


def _is_billing_header(block: object) -> bool:
    text = block.get("text") if isinstance(block, dict) else None
    return isinstance(text, str) and text.startswith(_BILLING_HEADER)


class TextBlock(RequestBody):
    """Text of a message."""

    text: str


class ThinkingBlock(RequestBody):
    """Earlier thinking of the model."""

    thinking: str


class RedactedThinkingBlock(RequestBody):
    """Earlier thinking that only Anthropic can read; it is ignored."""


class ToolUseBlock(RequestBody):
    """An earlier tool call from the model."""

    id: str
    name: str
    input: dict[str, Any]


class ToolResultBlock(RequestBody):
    """The result of a tool call."""

    tool_use_id: str
    content: Annotated[
        str | None,
        BeforeValidator(
            partial(text_of, fields=_RESULT_PARTS, separator="\n"),
            json_schema_input_type=str | list[dict[str, Any]] | None,
        ),
    ] = None
    is_error: bool | None = None


_BLOCK_TYPES = ("text", "thinking", "redacted_thinking", "tool_use", "tool_result")


def _known_block(value: object) -> object:
    kind = type_of(value) or ""
    if kind not in _BLOCK_TYPES:
        raise ValueError(f"content blocks of type {kind[:32]!r} are not supported by this server")
    return value


ContentBlock = Annotated[
    Annotated[TextBlock, Tag("text")]
    | Annotated[ThinkingBlock, Tag("thinking")]
    | Annotated[RedactedThinkingBlock, Tag("redacted_thinking")]
    | Annotated[ToolUseBlock, Tag("tool_use")]
    | Annotated[ToolResultBlock, Tag("tool_result")],
    Discriminator(type_of),
    BeforeValidator(_known_block),
]


def _as_blocks(value: object) -> object:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class MessageParam(RequestBody):
    """A turn of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        list[ContentBlock],
        BeforeValidator(_as_blocks, json_schema_input_type=str | list[ContentBlock]),
    ]


class ToolParam(RequestBody):
    """A tool that the client runs."""

    name: str = Field(min_length=1)
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None


class ProviderTool(RequestBody):
    """A tool that Anthropic's servers run, or whose schema only Anthropic's models know."""

    type: str


def _tool_type(value: object) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return "client" if kind in (None, "custom") else "provider"


AnyTool = Annotated[
    Annotated[ToolParam, Tag("client")] | Annotated[ProviderTool, Tag("provider")],
    Discriminator(_tool_type),
]


class ToolChoiceParam(RequestBody):
    """Whether, and which, tools are called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _has_name(self) -> "ToolChoiceParam":
        if self.type == "tool" and not self.name:
            raise ValueError("name is required with type tool")
        return self


class ThinkingConfig(RequestBody):
    """Whether the model thinks; other than disabled: where it can."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[Integer | None, Field(ge=1)] = None
    """A hint, which is ignored: max_tokens bounds thinking and text together."""
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(RequestBody):
    """The schema of the text."""

    type: Literal["json_schema"]
    json_schema: dict[str, Any] = Field(alias="schema")


class OutputConfig(RequestBody):
    """Options of the output."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    """A hint, which is ignored."""
    format: OutputFormat | None = None


class MessagesMetadata(RequestBody):
    """Ignored."""

    user_id: str | None = None


class CountTokensRequest(RequestBody):
    """`POST /v1/messages/count_tokens`."""

    model: str = Field(min_length=1)
    messages: Annotated[list[MessageParam], Field(min_length=1, max_length=MAX_MESSAGES)]
    system: Annotated[
        str | None,
        BeforeValidator(_system_text, json_schema_input_type=str | list[dict[str, Any]] | None),
    ] = None
    tools: Annotated[list[AnyTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoiceParam | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    """Name of output_config.format in its beta."""
    mcp_servers: Annotated[None, unsupported("mcp_servers are not supported by this server")] = None


class MessagesRequest(CountTokensRequest):
    """`POST /v1/messages`."""

    max_tokens: Annotated[Count, Field(ge=1)]
    stream: bool | None = None
    stop_sequences: Annotated[list[StopString], Field(max_length=MAX_STOP_STRINGS)] | None = None
    temperature: Annotated[float | None, Field(ge=0, le=1)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: Count | None = None
    metadata: MessagesMetadata | None = None
