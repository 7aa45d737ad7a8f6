"""Earlier turns of a conversation, as clients of both dialects send them back.

They hold whatever a model once wrote, so that only their types are checked. Pure.
"""

import json
from typing import Annotated, Any

from pydantic import BeforeValidator

from sizeup_gateway.api.request_body import parse_json
from sizeup_wire.generate import ToolCallRequest


def _arguments(value: object) -> object:
    """Return the JSON object of a call's arguments, or the text of anything else in a string."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise ValueError("arguments must be an object, or a string with one")  # noqa: TRY004
    if not value.strip():
        return {}
    try:
        parsed = parse_json(value.encode())
    except ValueError:
        return value
    return parsed if isinstance(parsed, dict) else value


CallArguments = Annotated[
    dict[str, Any] | str,
    BeforeValidator(_arguments, json_schema_input_type=dict[str, Any] | str | None),
]
"""Some clients send the object itself where the dialect has a string, some the other way round."""


def to_tool_call(id: str | None, name: str, arguments: dict[str, Any] | str) -> ToolCallRequest:
    """Translate a call of an earlier turn."""
    if isinstance(arguments, str):
        return ToolCallRequest(id=id, name=name, arguments={}, arguments_text=arguments)
    return ToolCallRequest(id=id, name=name, arguments=arguments)


def result_text(value: object) -> object:
    """Return the result of a tool as text: some clients send the value itself."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
