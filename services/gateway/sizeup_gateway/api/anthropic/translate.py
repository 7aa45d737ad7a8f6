"""Anthropic's request bodies -> wire requests. Pure."""

from collections.abc import Mapping
from typing import Any

from sizeup_gateway.api.anthropic import schema
from sizeup_gateway.api.anthropic.conversation import to_messages
from sizeup_gateway.api.tool_choice import AUTO, ToolChoice, ToolUse, check_ignored, choose
from sizeup_gateway.api.upstream_errors import dialect_field
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import (
    ChatPrompt,
    GenerateRequest,
    JsonSchemaOutput,
    Sampling,
    StructuredOutput,
    ThinkingMode,
)

DEFAULTS = Sampling(temperature=1.0, top_p=1.0)
"""Anthropic's defaults; the model's generation_config.json takes precedence."""

Ignored = Mapping[str, str]
"""Types of the tools that are not offered, by their place in the request."""

_PARAMS: Mapping[str, str] = {
    "prompt.tools": "tools",
    "prompt.thinking": "thinking",
    "structured_output": "output_config.format",
    "allowed_tools": "tool_choice",
    "stop": "stop_sequences",
}
"""Names of wire fields that differ in this API."""


def to_param(wire_field: str) -> str:
    """Map a wire field to a field of the request."""
    return dialect_field(wire_field, _PARAMS, "messages")


def to_prompt(body: schema.CountTokensRequest) -> tuple[ChatPrompt, ToolUse, Ignored]:
    """Translate what makes the prompt; raise InvalidRequestError if fields conflict."""
    tools = [_function(tool) for tool in body.tools or () if isinstance(tool, schema.ToolParam)]
    ignored = {
        f"tools.{i}": tool.type
        for i, tool in enumerate(body.tools or ())
        if isinstance(tool, schema.ProviderTool)
    }
    choice = _choice(body.tool_choice)
    check_ignored(tools, ignored, choice)
    parallel = not (body.tool_choice and body.tool_choice.disable_parallel_tool_use)
    use = choose(tools, choice, "tool_choice", parallel=parallel)
    messages = to_messages(body)
    prompt = ChatPrompt(
        messages=messages,
        tools=use.tools,
        thinking=_thinking(body.thinking),
        continue_final=messages[-1].role == "assistant",
    )
    return prompt, use, ignored


def from_messages(body: schema.MessagesRequest) -> tuple[GenerateRequest, Ignored]:
    """Translate `POST /v1/messages`; raise InvalidRequestError if fields conflict."""
    prompt, use, ignored = to_prompt(body)
    greedy = body.top_p == 0  # keeps the most likely token alone
    request = GenerateRequest(
        prompt=prompt,
        sampling=Sampling(
            temperature=0.0 if greedy else body.temperature,
            top_p=None if greedy else body.top_p,
            top_k=body.top_k,
        ),
        fallback=DEFAULTS,
        max_tokens=body.max_tokens,
        stop=tuple(body.stop_sequences or ()),
        structured_output=_structured_output(body),
        tool_choice=use.choice,
        allowed_tools=use.allowed,
        parallel_tool_calls=use.parallel,
        stream_tool_calls=bool(body.stream and use.tools),
    )
    return request, ignored


def given(body: schema.MessagesRequest) -> frozenset[str]:
    """Return the wire fields that the request sets, if only to their defaults."""
    stops = () if body.stop_sequences is None else ("stop",)
    return frozenset(("max_tokens", *stops))


def _function(tool: schema.ToolParam) -> dict[str, Any]:
    fields = tool.model_dump(exclude_none=True, exclude={"input_schema"})
    return {"type": "function", "function": {**fields, "parameters": tool.input_schema}}


def _choice(given: schema.ToolChoiceParam | None) -> ToolChoice:
    if given is None or given.type == "auto":
        return AUTO
    if given.type == "none":
        return ToolChoice("none")
    return ToolChoice("required", (given.name,) if given.type == "tool" and given.name else ())


def _thinking(given: schema.ThinkingConfig | None) -> ThinkingMode:
    """Thinking has to be requested, in Anthropic's API."""
    return "off" if given is None or given.type == "disabled" else "if_supported"


def _structured_output(body: schema.MessagesRequest) -> StructuredOutput | None:
    """Anthropic's API accepts no schema that it cannot enforce."""
    configured = body.output_config.format if body.output_config else None
    if configured and body.output_format:
        message = "only one of output_config.format and output_format can be set"
        raise InvalidRequestError(message, "output_format")
    given = configured or body.output_format
    return JsonSchemaOutput(json_schema=given.json_schema, strict=True) if given else None
