"""Messages of chat completions."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from sizeup_gateway.api.history import CallArguments, result_text
from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import type_of, unsupported
from sizeup_gateway.api.text_parts import text_of

_TEXT_PARTS = {"text": "text", "refusal": "refusal"}
_MEDIA_PARTS = ("image_url", "input_audio", "file", "audio_url", "video_url")
_WRITTEN_BY_PEOPLE = ("system", "developer", "user")
_RESULTS = ("tool", "function")

_Content = str | list[Any] | dict[str, Any] | float | bool | None
"""What clients send; the value itself only as the result of a tool."""


def _has_parts(value: object) -> bool:
    """Whether the result of a tool is a list of content parts, rather than a value of its own."""
    if not isinstance(value, list):
        return False
    kinds = {type_of(part) for part in value}
    return kinds <= _TEXT_PARTS.keys() or not kinds.isdisjoint(_MEDIA_PARTS)


class FunctionCallParam(RequestBody):
    """The function of an earlier call."""

    name: str
    arguments: CallArguments = Field(default_factory=dict)


class ToolCallParam(RequestBody):
    """An earlier tool call from the model."""

    id: str | None = None
    function: FunctionCallParam

    @model_validator(mode="before")
    @classmethod
    def _from_custom(cls, value: object) -> object:
        """Accept the call of a custom tool, whose input is text."""
        if not isinstance(value, dict) or "function" in value:
            return value
        custom = value.get("custom")
        if not isinstance(custom, dict):
            return value
        function = {"name": custom.get("name"), "arguments": custom.get("input")}
        return {**value, "function": function}


class ChatCompletionMessageParam(RequestBody):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | None = Field(None, validate_default=True)
    """Optional in what a model or a tool wrote."""
    refusal: str | None = None
    """In place of the content."""
    reasoning_content: str | None = None
    reasoning: str | None = None
    """Other name of reasoning_content, like thinking."""
    thinking: str | None = None
    name: str | None = None
    tool_calls: list[ToolCallParam] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCallParam | None = None
    """Predecessor of tool_calls."""
    audio: Annotated[None, unsupported("earlier audio is not stored by this server")] = None

    @field_validator("content", mode="before", json_schema_input_type=_Content)
    @classmethod
    def _content(cls, value: object, info: ValidationInfo) -> object:
        role = info.data.get("role")
        if value is None and role in _WRITTEN_BY_PEOPLE:
            raise ValueError(f"required in a message of the role {role}")
        if role in _RESULTS and not _has_parts(value):
            return result_text(value)
        return text_of(value, _TEXT_PARTS, separator="")
