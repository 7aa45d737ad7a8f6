"""The response object before there is output: it repeats the request. Pure."""

from collections.abc import Iterator, Sequence

from sizeup_gateway.api.openai.responses_api import schema
from sizeup_gateway.api.openai.translate import DEFAULTS
from sizeup_gateway.api.tool_choice import AUTO, ToolChoice
from sizeup_gateway.responses.framing import Json
from sizeup_gateway.responses.json_bytes import JsonFragment, encode
from sizeup_wire.generate import GenerateRequest, Sampling


def to_response(
    body: schema.ResponsesRequest, wire: GenerateRequest, own: Sampling, **heading: object
) -> Json:
    """Return every field that OpenAI's responses have; `own` are the model's sampling defaults.

    `heading` are id, created_at and model. What may be large is encoded once: a stream repeats it.
    """
    reasoning = body.reasoning or schema.ReasoningConfig()
    return {
        "object": "response",
        **heading,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "frequency_penalty": _effective("frequency_penalty", wire, own),
        "incomplete_details": None,
        "instructions": _encoded(body.instructions),
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": body.metadata or {},
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "presence_penalty": _effective("presence_penalty", wire, own),
        "previous_response_id": None,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": {"effort": reasoning.effort, "summary": reasoning.summary},
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "store": False,
        "temperature": _effective("temperature", wire, own),
        "text": _text(body.text or schema.TextConfig()),
        "tool_choice": _tool_choice(body.tool_choice or AUTO),
        "tools": _encoded(list(_tools(body.tools or ()))),
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 0 if body.top_p == 0 else _effective("top_p", wire, own),
        "truncation": body.truncation or "disabled",
        "usage": None,
        "user": body.user,
    }


def _encoded(value: object) -> JsonFragment:
    return JsonFragment((encode(value),))


def _effective(field: str, wire: GenerateRequest, own: Sampling) -> float:
    """Return the sampling value of the request, else the model's, else OpenAI's default."""
    values = (getattr(source, field) for source in (wire.sampling, own, DEFAULTS))
    return next((value for value in values if value is not None), 0.0)


def _text(given: schema.TextConfig) -> Json:
    form = (given.format or schema.TextFormat()).model_dump(by_alias=True, exclude_none=True)
    return {"format": _encoded(form), "verbosity": given.verbosity or "medium"}


def _tool_choice(choice: ToolChoice) -> str | Json:
    functions = [{"type": "function", "name": name} for name in choice.names]
    if not functions:
        return choice.mode
    if choice.mode == "required" and len(functions) == 1:
        return functions[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": functions}


def _tools(tools: Sequence[schema.ResponsesTool]) -> Iterator[Json]:
    """Yield the tools that the model is offered."""
    for tool in tools:
        if isinstance(tool, schema.ResponsesFunction):
            yield _function(tool)
        elif isinstance(tool, schema.ToolNamespace):
            inner = [_function(f) for f in tool.tools if isinstance(f, schema.ResponsesFunction)]
            yield {
                "type": "namespace",
                "name": tool.name,
                "description": tool.description,
                "tools": inner,
            }


def _function(function: schema.ResponsesFunction) -> Json:
    return {"type": "function", **function.model_dump()}
