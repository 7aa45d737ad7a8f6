"""What an output has to be -> wire fields. Pure."""

from collections.abc import Mapping
from typing import Any

from sizeup_gateway.api.openai import schema
from sizeup_gateway.api.openai.output_schema import ResponseFormat, StructuredOutputs
from sizeup_gateway.api.tool_choice import AUTO, ToolUse, choose
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import (
    ChoiceOutput,
    JsonObjectOutput,
    JsonSchemaOutput,
    RegexOutput,
    StructuredOutput,
)


def structured_output(body: schema.SamplingRequest) -> StructuredOutput | None:
    """Translate the one field that is set; raise InvalidRequestError for two of them."""
    found = _given(body)
    if len(found) > 1:
        names = ", ".join(found)
        raise InvalidRequestError(f"only one of {names} can be set", next(iter(found)))
    return next(iter(found.values()), None)


def structured_field(body: schema.SamplingRequest) -> str:
    """Return the name of the field that is set."""
    return next(iter(_given(body)), "response_format")


def _given(body: schema.SamplingRequest) -> Mapping[str, StructuredOutput]:
    outputs = body.structured_outputs or StructuredOutputs()
    given: dict[str, StructuredOutput | None] = {
        "response_format": _from_format(body.response_format),
        "structured_outputs.json": _from_schema(outputs.json_schema),
        "structured_outputs.json_object": JsonObjectOutput() if outputs.json_object else None,
        "structured_outputs.regex": _from_pattern(outputs.regex),
        "structured_outputs.choice": _from_texts(outputs.choice),
        "guided_json": _from_schema(body.guided_json),
        "guided_regex": _from_pattern(body.guided_regex),
        "guided_choice": _from_texts(body.guided_choice),
    }
    return {name: output for name, output in given.items() if output is not None}


def _from_format(given: ResponseFormat | None) -> StructuredOutput | None:
    if given is None:
        return None
    if given.type == "json_object":
        return _from_schema(given.object_schema) or JsonObjectOutput()
    if given.json_schema is None:
        return None
    strict = bool(given.json_schema.strict)
    return JsonSchemaOutput(json_schema=given.json_schema.json_schema, strict=strict)


def _from_schema(schema: dict[str, Any] | bool | None) -> JsonSchemaOutput | None:
    return None if schema is None else JsonSchemaOutput(json_schema=schema)


def _from_pattern(pattern: str | None) -> RegexOutput | None:
    return None if pattern is None else RegexOutput(pattern=pattern)


def _from_texts(texts: list[str] | None) -> ChoiceOutput | None:
    return None if texts is None else ChoiceOutput(choices=tuple(texts))


def tool_use(body: schema.ChatCompletionRequest) -> ToolUse:
    """Translate tools and their choice; raise InvalidRequestError where they contradict.

    `functions` and `function_call` are the predecessors, with one call at most.
    """
    if body.functions and body.tools:
        raise InvalidRequestError("only one of tools and functions can be set", "functions")
    tools = body.tools or [{"type": "function", "function": each} for each in body.functions or ()]
    choice = body.tool_choice or body.function_call or AUTO
    field = "function_call" if body.functions else "tool_choice"
    parallel = body.parallel_tool_calls is not False and not body.functions
    return choose(tools, choice, field, parallel=parallel)
