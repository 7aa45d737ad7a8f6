"""Request bodies of OpenAI's Responses API."""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from sizeup_gateway.api.openai.message_schema import FunctionCallParam
from sizeup_gateway.api.openai.output_schema import ToolChoiceField
from sizeup_gateway.api.openai.schema import Count, Penalty
from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import MAX_TOOLS, Integer, at_most, type_of, unsupported
from sizeup_gateway.api.text_parts import text_of
from sizeup_wire.generate import MAX_LOGPROBS, MAX_MESSAGES

_MAX_METADATA = 16
_NOT_STORED = "responses are not stored by this server; send the items themselves"
_TEXT_PARTS = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
}
_REASONING_PARTS = {"reasoning_text": "text", "summary_text": "text", "text": "text"}

JoinedText = Annotated[
    str,
    BeforeValidator(
        partial(text_of, fields=_TEXT_PARTS, separator=""),
        json_schema_input_type=str | list[dict[str, Any]],
    ),
]
ReasoningText = Annotated[
    str | None,
    BeforeValidator(
        partial(text_of, fields=_REASONING_PARTS, separator="\n\n"),
        json_schema_input_type=list[dict[str, Any]] | None,
    ),
]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    at_most(_MAX_METADATA),
    Field(max_length=_MAX_METADATA),
]


class InputMessage(RequestBody):
    """A message of the conversation."""

    role: Literal["user", "assistant", "system", "developer"]
    content: JoinedText


class FunctionCallItem(FunctionCallParam):
    """An earlier function call from the model."""

    call_id: str
    namespace: str | None = None


class CustomToolCallItem(RequestBody):
    """An earlier call of a custom tool, whose input is any text."""

    call_id: str
    name: str
    input: str
    namespace: str | None = None


class CallOutputItem(RequestBody):
    """The result of a call."""

    call_id: str
    output: JoinedText


class ReasoningItem(RequestBody):
    """Earlier reasoning of the model."""

    content: ReasoningText = None
    summary: ReasoningText = None
    encrypted_content: str | None = None


class WebSearchCallItem(RequestBody):
    """An earlier web search on OpenAI's servers; the item has no text for a model."""


_ITEM_TYPES = (
    "message", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output", "reasoning", "web_search_call",
)  # fmt: skip


def _item_type(value: object) -> str:
    """Return the type of an item; it may be left out of a message."""
    kind = value.get("type", "message") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""


def _known_item(value: object) -> object:
    kind = _item_type(value)
    if kind == "item_reference":
        raise ValueError(_NOT_STORED)
    if kind not in _ITEM_TYPES:
        raise ValueError(f"items of type {kind[:32]!r} are not supported by this server")
    return value


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[CallOutputItem, Tag("function_call_output")]
    | Annotated[CustomToolCallItem, Tag("custom_tool_call")]
    | Annotated[CallOutputItem, Tag("custom_tool_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")]
    | Annotated[WebSearchCallItem, Tag("web_search_call")],
    Discriminator(_item_type),
    BeforeValidator(_known_item),
]


def _as_items(value: object) -> object:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class ResponsesFunction(RequestBody):
    """A function that the model may call."""

    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class OtherTool(RequestBody):
    """A tool that OpenAI's servers run, or whose input has a form of its own."""

    type: str


def _tool_type(value: object) -> str:
    kind = type_of(value)
    return kind if kind in ("function", "namespace") else "other"


def _inner_type(value: object) -> str:
    return "function" if type_of(value) == "function" else "other"


class ToolNamespace(RequestBody):
    """Functions under a common name."""

    name: str = Field(min_length=1)
    description: str = ""
    tools: Annotated[
        list[
            Annotated[
                Annotated[ResponsesFunction, Tag("function")] | Annotated[OtherTool, Tag("other")],
                Discriminator(_inner_type),
            ]
        ],
        Field(max_length=MAX_TOOLS),
    ]


ResponsesTool = Annotated[
    Annotated[ResponsesFunction, Tag("function")]
    | Annotated[ToolNamespace, Tag("namespace")]
    | Annotated[OtherTool, Tag("other")],
    Discriminator(_tool_type),
]


class TextFormat(RequestBody):
    """The form of the output text."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    description: str | None = None
    json_schema: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None
    """Reject a schema with keywords that cannot be enforced."""

    @model_validator(mode="after")
    def _has_schema(self) -> "TextFormat":
        if self.type == "json_schema" and (self.json_schema is None or not self.name):
            raise ValueError("name and schema are required with type json_schema")
        return self


class TextConfig(RequestBody):
    """Options of the output text."""

    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    """A hint, which is ignored."""


class ReasoningConfig(RequestBody):
    """Options of the reasoning."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    """Other than none: reason where the model can."""
    summary: Literal["auto", "concise", "detailed"] | None = None
    """Return the reasoning as its own summary instead of as content."""


class ResponsesStreamOptions(RequestBody):
    """Options of a stream."""

    include_obfuscation: bool | None = None
    """Padding against attacks on OpenAI's shared network; never sent."""


def _never(value: object) -> None:
    if value not in (None, False):
        raise ValueError("background responses are not supported: responses are not stored")


class ResponseInput(RequestBody):
    """Fields that make the prompt: those of `POST /v1/responses/input_tokens`."""

    model: str | None = None
    input: Annotated[
        list[InputItem],
        BeforeValidator(_as_items, json_schema_input_type=str | list[InputItem]),
        Field(min_length=1, max_length=MAX_MESSAGES),
    ]
    instructions: str | None = None
    tools: Annotated[list[ResponsesTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: ToolChoiceField = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningConfig | None = None
    previous_response_id: Annotated[None, unsupported(f"previous responses: {_NOT_STORED}")] = None
    conversation: Annotated[None, unsupported(f"conversations: {_NOT_STORED}")] = None
    prompt: Annotated[None, unsupported("stored prompts are not supported by this server")] = None


class ResponsesRequest(ResponseInput):
    """`POST /v1/responses`."""

    stream: bool | None = None
    stream_options: ResponsesStreamOptions | None = None
    text: TextConfig | None = None
    max_output_tokens: Annotated[Count, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    presence_penalty: Penalty = None
    """Of Open Responses, like the next one."""
    frequency_penalty: Penalty = None
    top_logprobs: Annotated[Integer | None, Field(ge=0, le=MAX_LOGPROBS)] = None
    include: (
        list[
            Literal[
                "file_search_call.results",
                "web_search_call.results",
                "web_search_call.action.sources",
                "message.input_image.image_url",
                "computer_call_output.output.image_url",
                "code_interpreter_call.outputs",
                "reasoning.encrypted_content",
                "message.output_text.logprobs",
            ]
        ]
        | None
    ) = None
    """Those of tools that are not offered add nothing."""
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Metadata | None = None
    store: bool | None = None
    """Ignored: nothing is stored, and the response says so."""
    background: Annotated[None, BeforeValidator(_never, json_schema_input_type=bool | None)] = None
    max_tool_calls: Annotated[Integer | None, Field(ge=1)] = None
    """Of tools that OpenAI's servers run."""
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
