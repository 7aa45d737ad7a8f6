"""Types of fields in the requests of both dialects."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from sizeup_wire.generate import MAX_STOP_STRINGS


def unsupported(message: str, *, empty: tuple[object, ...] = (None, "", [])) -> BeforeValidator:
    """Accept the values that say nothing, and reject any other."""

    def check(value: object) -> None:
        if value not in empty:
            raise ValueError(message)

    return BeforeValidator(check)


def at_most(length: int) -> BeforeValidator:
    """Refuse an object of more fields before each of them is checked."""

    def check(value: object) -> object:
        if isinstance(value, dict) and len(value) > length:
            raise ValueError(f"more than {length} fields")
        return value

    return BeforeValidator(check)


def type_of(value: object) -> str | None:
    """Return the `type` of a part of a body; None where it has none."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def integral(value: object) -> object:
    """Convert 4096.0 to 4096: some languages have one type of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


MAX_TOKEN_IDS = 2**20
"""Of a prompt: a million, and no model of the Qwen family has a longer context."""


def integrals(value: object) -> object:
    """Convert the numbers of a list of token ids as `integral` does."""
    if not isinstance(value, list):
        return value
    if len(value) > MAX_TOKEN_IDS:  # pydantic would check the first ones before
        raise ValueError(f"more than {MAX_TOKEN_IDS} token ids")
    if float in set(map(type, value)):
        return [integral(item) for item in value]
    return value


def _known_think(value: object) -> object:
    if value is None or isinstance(value, bool) or value in THINK_LEVELS:
        return value
    levels = '"high", "medium", "low", "max", true, or false'
    shown = f'"{value[:32]}"' if isinstance(value, str) else type(value).__name__
    raise ValueError(f"invalid think value: {shown} (must be {levels})")


def _as_list(value: object) -> object:
    """Accept a single stop string, which OpenAI allows and LiteLLM sends to Ollama too."""
    return [value] if isinstance(value, str) else value


def _context_size(value: int | None) -> int | None:
    if value == 1:
        raise ValueError("must be 0 or at least 2: prompt and response take at least a token each")
    return value


def _function_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Check what chat templates rely on; the template receives the whole tool."""
    function = tool.get("function")
    if tool.get("type") not in (None, "function"):
        raise ValueError("only tools of type function are supported")
    if not isinstance(function, dict):
        raise ValueError("a tool requires a function")  # noqa: TRY004 - pydantic reports ValueError
    return {**tool, "type": "function", "function": _function(function)}


def _function(function: dict[str, Any]) -> dict[str, Any]:
    name, parameters = function.get("name"), function.get("parameters")
    if not isinstance(name, str) or not name:
        raise ValueError("the function of a tool requires a name")
    if parameters is not None and not isinstance(parameters, dict):
        raise ValueError("the parameters of a tool must be a JSON schema object")
    if function.get("strict") not in (None, True, False):
        raise ValueError("strict must be a boolean")
    return function


ThinkLevel = Literal["high", "medium", "low", "max"]
"""All of them act as true: the templates of the Qwen family know on and off."""
THINK_LEVELS = get_args(ThinkLevel)

Integer = Annotated[int, BeforeValidator(integral)]
Think = Annotated[
    bool | str | None,
    BeforeValidator(_known_think, json_schema_input_type=bool | ThinkLevel | None),
]
_FUNCTION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "description": {},
        "parameters": {"type": ["object", "null"]},
        "strict": {"type": ["boolean", "null"]},
    },
    "required": ["name"],
}
_TOOL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"type": {"enum": ["function", None]}, "function": _FUNCTION_SCHEMA},
    "required": ["function"],
}
Function = Annotated[dict[str, Any], AfterValidator(_function), WithJsonSchema(_FUNCTION_SCHEMA)]
"""A function that the model may call: name, description, parameters."""
FunctionTool = Annotated[
    dict[str, Any], AfterValidator(_function_tool), WithJsonSchema(_TOOL_SCHEMA)
]
"""A tool, in the form that both APIs and chat templates use."""

MAX_TOOLS = 1024
"""Eight times OpenAI's 128; the context length limits them further."""

Tools = Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS)]
CONTEXT_SIZE = AfterValidator(_context_size)
StopString = Annotated[str, Field(min_length=1, max_length=1024)]
Stop = Annotated[
    list[StopString],
    BeforeValidator(_as_list, json_schema_input_type=StopString | list[StopString]),
    Field(max_length=MAX_STOP_STRINGS),
]
