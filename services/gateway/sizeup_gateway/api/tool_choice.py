"""Which of a request's tools may or must be called: one form for all dialects. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sizeup_gateway.errors import InvalidRequestError

IGNORED_HEADER = "X-Sizeup-Ignored-Tools"
"""Of responses: the tools of the request that were not offered to the model, by their place."""


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`tool_choice`, in one form."""

    mode: Literal["none", "auto", "required"]
    names: tuple[str, ...] = ()
    """The functions that may be called; empty means all."""


AUTO = ToolChoice("auto")


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The tools of a chat, and which of them are called."""

    tools: tuple[dict[str, Any], ...] = ()
    choice: Literal["auto", "required"] = "auto"
    allowed: tuple[str, ...] = ()
    """Empty means all."""
    parallel: bool = True


NO_TOOLS = ToolUse()


def choose(
    tools: Sequence[dict[str, Any]], choice: ToolChoice, field: str, *, parallel: bool
) -> ToolUse:
    """Apply a choice to function tools; raise InvalidRequestError where they contradict.

    `field` is the dialect's name of the choice.
    """
    if choice.mode == "none":
        return NO_TOOLS
    if choice.mode == "required" and not tools:
        raise InvalidRequestError(f"{field} requires tools", field)
    names = {tool["function"]["name"] for tool in tools}
    missing = next((name for name in choice.names if name not in names), None)
    if missing is not None:
        raise InvalidRequestError(f"{field} names a function that is not in tools", field)
    return ToolUse(tuple(tools), choice.mode, tuple(dict.fromkeys(choice.names)), parallel)


def check_ignored(tools: Sequence[object], ignored: Mapping[str, str], choice: ToolChoice) -> None:
    """Raise InvalidRequestError where no tool is left to offer.

    `ignored` are the types of tools that only the provider of an API has, by their place in the
    request. An agent offers such tools beside its own, and the model need not use them. A request
    without any other tool asks for what that tool does.
    """
    if ignored and not tools and choice.mode != "none":
        place, kind = next(iter(ignored.items()))
        message = f"tools of type {kind[:64]!r} are not supported by this server"
        raise InvalidRequestError(f"{place}: {message}", place)


def ignored_header(ignored: Mapping[str, str]) -> Mapping[str, str]:
    """Return the response header for tools that are not offered."""
    return {IGNORED_HEADER: ", ".join(ignored)} if ignored else {}
