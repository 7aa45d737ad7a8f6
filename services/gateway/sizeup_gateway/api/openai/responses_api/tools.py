"""Tools of the Responses API -> function tools, and the names of calls back. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sizeup_gateway.api.openai.responses_api.schema import (
    OtherTool,
    ResponsesFunction,
    ResponsesTool,
    ToolNamespace,
)
from sizeup_gateway.api.request_fields import MAX_TOOLS
from sizeup_gateway.errors import InvalidRequestError

Names = Mapping[str, tuple[str, str]]
"""Namespace and name of the functions in namespaces, by the name that the model knows."""


@dataclass(frozen=True, slots=True)
class OfferedTools:
    functions: Sequence[dict[str, Any]]
    """For the model."""
    names: Names
    ignored: Mapping[str, str]
    """Types of the tools that are not offered, by their place in the request."""


def flat_name(namespace: str | None, name: str) -> str:
    """Return the name by which the model knows a function: templates have no namespaces."""
    return f"{namespace}__{name}" if namespace else name


def offer(tools: Sequence[ResponsesTool]) -> OfferedTools:
    """Raise InvalidRequestError where two functions have one name, and for too many of them."""
    functions: dict[str, dict[str, Any]] = {}
    names: dict[str, tuple[str, str]] = {}
    ignored: dict[str, str] = {}
    for place, namespace, tool in _flat(tools):
        if isinstance(tool, OtherTool):
            ignored[place] = tool.type
            continue
        name = flat_name(namespace, tool.name)
        if name in functions:
            raise InvalidRequestError(f"{place}: another tool is named {name[:64]!r}", place)
        functions[name] = _function(name, tool)
        if namespace:
            names[name] = (namespace, tool.name)
    if len(functions) > MAX_TOOLS:
        raise InvalidRequestError(f"tools: more than {MAX_TOOLS} functions", "tools")
    return OfferedTools(list(functions.values()), names, ignored)


def _flat(
    tools: Sequence[ResponsesTool],
) -> Iterator[tuple[str, str | None, ResponsesFunction | OtherTool]]:
    """Yield the place, namespace and definition of each tool."""
    for i, tool in enumerate(tools):
        if isinstance(tool, ToolNamespace):
            for j, inner in enumerate(tool.tools):
                yield f"tools.{i}.tools.{j}", tool.name, inner
        else:
            yield f"tools.{i}", None, tool


def _function(name: str, tool: ResponsesFunction) -> dict[str, Any]:
    fields = tool.model_dump(exclude_none=True)
    return {"type": "function", "function": fields | {"name": name}}
