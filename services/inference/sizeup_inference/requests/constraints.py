"""The constraint of a request: its structured output, its tool calls, or none.

Compilation is blocking and runs on the grammar thread.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sizeup_inference.engine.protocol import Constraint
from sizeup_inference.errors import InvalidRequestError
from sizeup_inference.requests.resolve import ResolvedRequest, tool_name
from sizeup_inference.text.grammar import (
    FunctionTool,
    GrammarCompiler,
    Reasoning,
    ToolCalls,
    arguments_grammar,
    output_grammar,
)
from sizeup_inference.text.output_schema import GrammarError
from sizeup_inference.text.tokenizer import EncodedPrompt
from sizeup_wire.generate import ChatPrompt
from sizeup_wire.model import ModelInfo

_ANY_OBJECT: dict[str, Any] = {"type": "object"}
_NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
"""Of a function without `parameters`, as in OpenAI."""
_MAX_SECONDS = 5.0
"""For the schemas of all tools one by one; others wait for the grammar thread meanwhile."""


def is_constrained(resolved: ResolvedRequest) -> bool:
    """Whether the output is structured, or calls are required, limited to some tools, or strict."""
    wire = resolved.wire
    calls = wire.tool_choice == "required" or wire.allowed_tools
    return bool(wire.structured_output or calls or any(tool.strict for tool in _tools(resolved)))


def compile_constraint(
    compiler: GrammarCompiler,
    resolved: ResolvedRequest,
    reasoning: Reasoning,
    clock: Callable[[], float] = time.monotonic,
) -> Constraint:
    """Compile the constraint of a request that `is_constrained`; raise InvalidRequestError."""
    wire = resolved.wire
    calls = ToolCalls(_tools(resolved), wire.tool_choice == "required", wire.parallel_tool_calls)
    structured = None if calls.required else wire.structured_output
    param = "prompt.tools" if structured is None else "structured_output"
    try:
        try:
            return compiler.compile(output_grammar(structured, calls, reasoning))
        except GrammarError:
            tools = list(_compilable(compiler, calls.tools, clock))
            if tools == calls.tools:
                raise
            calls = replace(calls, tools=tools)
            return compiler.compile(output_grammar(structured, calls, reasoning))
    except GrammarError as error:
        raise InvalidRequestError(f"structured output: {error}", param=param) from error


def reasoning_of(resolved: ResolvedRequest, info: ModelInfo, prompt: EncodedPrompt) -> Reasoning:
    """Return whether the output may begin with reasoning."""
    chat = resolved.prompt
    if not isinstance(chat, ChatPrompt):
        return "none"
    if prompt.is_thinking:
        return "begun"
    can_think = "thinking" in info.capabilities and not chat.continue_final
    return "possible" if can_think and chat.thinking != "off" else "none"


def _tools(resolved: ResolvedRequest) -> Sequence[FunctionTool]:
    """Return the tools that may be called."""
    prompt, allowed = resolved.prompt, resolved.wire.allowed_tools
    if not isinstance(prompt, ChatPrompt):
        return ()
    return [
        FunctionTool(
            tool_name(tool),
            _parameters(tool["function"]),
            strict=bool(tool["function"].get("strict")),
        )
        for tool in prompt.tools
        if not allowed or tool_name(tool) in allowed
    ]


def _parameters(function: dict[str, Any]) -> dict[str, Any]:
    parameters: dict[str, Any] | None = function.get("parameters")
    return _NO_ARGUMENTS if parameters is None else parameters or _ANY_OBJECT


def _compilable(
    compiler: GrammarCompiler, tools: Sequence[FunctionTool], clock: Callable[[], float]
) -> Iterator[FunctionTool]:
    """Yield the tools, with any object as the arguments of those whose schema is not supported.

    Raises InvalidRequestError if one of them is strict, or if this takes too long.
    """
    deadline = clock() + _MAX_SECONDS
    for tool in tools:
        if clock() > deadline:
            raise InvalidRequestError("the tools take too long to compile", param="prompt.tools")
        try:
            compiler.compile(arguments_grammar(tool))
        except GrammarError as error:
            if tool.strict:
                message = f"the parameters of {tool.name!r}: {error}"
                raise InvalidRequestError(message, param="prompt.tools") from error
            yield replace(tool, parameters=_ANY_OBJECT)
        else:
            yield tool
