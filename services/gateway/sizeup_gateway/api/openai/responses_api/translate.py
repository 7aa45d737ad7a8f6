"""Request bodies of the Responses API -> wire requests. Pure."""

from collections.abc import Mapping

from sizeup_gateway.api.openai.responses_api import schema
from sizeup_gateway.api.openai.responses_api.conversation import to_messages
from sizeup_gateway.api.openai.responses_api.tools import OfferedTools, offer
from sizeup_gateway.api.openai.translate import DEFAULTS
from sizeup_gateway.api.tool_choice import AUTO, ToolUse, check_ignored, choose
from sizeup_gateway.api.upstream_errors import dialect_field
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import (
    ChatPrompt,
    GenerateRequest,
    JsonObjectOutput,
    JsonSchemaOutput,
    Sampling,
    StructuredOutput,
    ThinkingMode,
)

LOGPROBS = "message.output_text.logprobs"
REASONING = "reasoning.encrypted_content"
"""Values of `include`."""

_PARAMS: Mapping[str, str] = {
    "prompt.tools": "tools",
    "prompt.thinking": "reasoning.effort",
    "structured_output": "text.format",
    "allowed_tools": "tool_choice",
    "max_tokens": "max_output_tokens",
    "logprobs": "top_logprobs",
    "truncate": "truncation",
}
"""Names of wire fields that differ in this API."""


def to_param(wire_field: str) -> str:
    """Map a wire field to a field of the request."""
    return dialect_field(wire_field, _PARAMS, "input")


def to_prompt(body: schema.ResponseInput) -> tuple[ChatPrompt, ToolUse, OfferedTools]:
    """Translate what makes the prompt; raise InvalidRequestError if fields conflict."""
    offered = offer(body.tools or ())
    choice = body.tool_choice or AUTO
    check_ignored(offered.functions, offered.ignored, choice)
    parallel = body.parallel_tool_calls is not False
    use = choose(offered.functions, choice, "tool_choice", parallel=parallel)
    prompt = ChatPrompt(messages=to_messages(body), tools=use.tools, thinking=_thinking(body))
    return prompt, use, offered


def from_responses(body: schema.ResponsesRequest) -> tuple[GenerateRequest, OfferedTools]:
    """Translate `POST /v1/responses`; raise InvalidRequestError if fields conflict."""
    if body.stream_options is not None and not body.stream:
        raise InvalidRequestError("stream_options requires stream to be true", "stream_options")
    prompt, use, offered = to_prompt(body)
    request = GenerateRequest(
        prompt=prompt,
        sampling=_sampling(body),
        fallback=DEFAULTS,
        max_tokens=body.max_output_tokens,
        logprobs=_logprobs(body),
        truncate=body.truncation == "auto",
        structured_output=_structured_output(body.text),
        tool_choice=use.choice,
        allowed_tools=use.allowed,
        parallel_tool_calls=use.parallel,
        stream_tool_calls=bool(use.tools),
    )
    return request, offered


def given(body: schema.ResponsesRequest) -> frozenset[str]:
    """Return the wire fields that the request sets, if only to their defaults."""
    return frozenset(() if body.max_output_tokens is None else ("max_tokens",))


def _sampling(body: schema.ResponsesRequest) -> Sampling:
    greedy = body.top_p == 0  # keeps the most likely token alone
    return Sampling(
        temperature=0.0 if greedy else body.temperature,
        top_p=None if greedy else body.top_p,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
    )


def _logprobs(body: schema.ResponsesRequest) -> int | None:
    """`top_logprobs` alone requests them, too."""
    if LOGPROBS in (body.include or ()) or body.top_logprobs:
        return body.top_logprobs or 0
    return None


def _thinking(body: schema.ResponseInput) -> ThinkingMode | None:
    effort = body.reasoning.effort if body.reasoning else None
    if effort is None:
        return None
    return "off" if effort == "none" else "if_supported"


def _structured_output(text: schema.TextConfig | None) -> StructuredOutput | None:
    given = text.format if text else None
    if given is None or given.type == "text":
        return None
    if given.type == "json_object" or given.json_schema is None:
        return JsonObjectOutput()
    return JsonSchemaOutput(json_schema=given.json_schema, strict=bool(given.strict))
