"""Fields for the form of an output: OpenAI's, and vLLM's `structured_outputs` and `guided_*`."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetPydanticSchema, model_validator
from pydantic_core.core_schema import no_info_plain_validator_function

from sizeup_gateway.api.request_body import RequestBody, parse_json
from sizeup_gateway.api.request_fields import unsupported
from sizeup_gateway.api.tool_choice import ToolChoice
from sizeup_wire.generate import MAX_OUTPUT_CHOICES, OutputText


def _schema(value: object) -> object:
    """Accept a schema as JSON text too, as vLLM does."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value.encode())
    except ValueError as error:
        raise ValueError(f"must be a JSON schema: {error}") from None


JsonSchema = Annotated[
    dict[str, Any] | bool,
    BeforeValidator(_schema, json_schema_input_type=dict[str, Any] | bool | str),
]
Texts = Annotated[list[OutputText], Field(min_length=1, max_length=MAX_OUTPUT_CHOICES)]
Grammar = Annotated[None, unsupported("grammars are not supported; use a JSON schema or a regex")]


class JsonSchemaFormat(RequestBody):
    """The schema of a response format; its name and description are for people."""

    name: str | None = None
    description: str | None = None
    json_schema: dict[str, Any] | bool = Field(alias="schema")
    strict: bool | None = None
    """Reject a schema with keywords that cannot be enforced."""


class ResponseFormat(RequestBody):
    """`response_format` of chat completions."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None
    object_schema: dict[str, Any] | bool | None = Field(None, alias="schema")
    """With json_object, as in llama.cpp."""

    @model_validator(mode="after")
    def _has_schema(self) -> "ResponseFormat":
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema is required with type json_schema")
        return self


class StructuredOutputs(RequestBody):
    """vLLM's `structured_outputs`."""

    json_schema: JsonSchema | None = Field(None, alias="json")
    json_object: bool | None = None
    regex: OutputText | None = None
    choice: Texts | None = None
    grammar: Grammar = None
    structural_tag: Annotated[None, unsupported("structural tags are not supported")] = None


def _tool_choice(value: object) -> ToolChoice | None:
    """Normalize OpenAI's forms: a mode, one function, or a mode with the allowed functions."""
    if value is None:
        return None
    if value in ("none", "auto", "required"):
        return ToolChoice(value)
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(value, dict) and kind == "function":
        return ToolChoice("required", (_function_name(value),))
    if isinstance(value, dict) and kind == "allowed_tools":
        return _allowed_tools(value.get("allowed_tools", value))
    raise ValueError("must be none, auto, required, or an object of type function or allowed_tools")


def _allowed_tools(value: object) -> ToolChoice:
    mode = value.get("mode", "auto") if isinstance(value, dict) else None
    tools = value.get("tools") if isinstance(value, dict) else None
    if mode not in ("auto", "required") or not isinstance(tools, list) or not tools:
        raise ValueError("allowed_tools requires the mode auto or required, and tools")
    return ToolChoice(mode, tuple(_function_name(tool) for tool in tools))


def _function_name(value: object) -> str:
    """Return the name in `{"function": {"name"}}`, or in the flat form of /v1/responses."""
    function = value.get("function", value) if isinstance(value, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError("a function requires a name")
    return name


def _function_call(value: object) -> ToolChoice | None:
    """Normalize the predecessor of tool_choice: none, auto, or an object with a name."""
    if isinstance(value, dict):
        return ToolChoice("required", (_function_name(value),))
    if value not in (None, "none", "auto"):
        raise ValueError("must be none, auto, or an object with a name")
    return _tool_choice(value)


def _parsed(parse: Callable[[object], ToolChoice | None], *modes: str) -> GetPydanticSchema:
    """Replace validation; the API document shows the forms that are accepted."""
    return GetPydanticSchema(
        get_pydantic_core_schema=lambda _source, _handler: no_info_plain_validator_function(parse),
        get_pydantic_json_schema=lambda _schema, _handler: {
            "anyOf": [{"enum": [*modes, None]}, {"type": "object"}]
        },
    )


ToolChoiceField = Annotated[ToolChoice | None, _parsed(_tool_choice, "none", "auto", "required")]
FunctionCallField = Annotated[ToolChoice | None, _parsed(_function_call, "none", "auto")]
