"""OpenAI's request bodies -> wire requests. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from sizeup_gateway.api.history import to_tool_call
from sizeup_gateway.api.openai import schema
from sizeup_gateway.api.openai.message_schema import ChatCompletionMessageParam
from sizeup_gateway.api.openai.output_schema import ResponseFormat, StructuredOutputs
from sizeup_gateway.api.openai.reasoning import thinking_mode
from sizeup_gateway.api.tool_choice import AUTO, NO_TOOLS, ToolUse, choose
from sizeup_gateway.api.upstream_errors import dialect_field
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.embeddings import EmbedRequest
from sizeup_wire.generate import (
    ChatMessage,
    ChatPrompt,
    ChoiceOutput,
    GenerateRequest,
    InfillPrompt,
    JsonObjectOutput,
    JsonSchemaOutput,
    Prompt,
    RegexOutput,
    Sampling,
    StructuredOutput,
    TextPrompt,
    TokenPrompt,
    ToolCallRequest,
)

DEFAULTS = Sampling(temperature=1.0, top_p=1.0)
"""OpenAI's defaults; the model's generation_config.json takes precedence."""

COMPLETION_MAX_TOKENS = 16
"""OpenAI's default on /v1/completions."""

_ROLES: Mapping[str, str] = {"developer": "system", "function": "tool"}
_SEED_MASK = 2**63 - 1
_PARAMS: Mapping[str, str] = {
    "prompt.tools": "tools",
    "prompt.thinking": "reasoning_effort",
    "prompt.continue_final": "continue_final_message",
    "prompt.suffix": "suffix",
    "max_context": "options.num_ctx",
}
"""Names of wire fields that differ in this API."""


def from_chat(body: schema.ChatCompletionRequest) -> GenerateRequest:
    """Translate `POST /v1/chat/completions`; raise InvalidRequestError if fields conflict."""
    if body.top_logprobs and not body.logprobs:
        raise InvalidRequestError("top_logprobs requires logprobs to be true", "top_logprobs")
    limit = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    use = tool_use(body)
    prompt = ChatPrompt(
        messages=to_messages(body.messages),
        tools=use.tools,
        thinking=thinking_mode(body),
        continue_final=_continues(body),
    )
    logprobs = (body.top_logprobs or 0) if body.logprobs else None
    return _request(body, prompt, limit, logprobs, use=use)


def from_completion(body: schema.CompletionRequest) -> list[GenerateRequest]:
    """Translate `POST /v1/completions`: one request per prompt.

    Raises InvalidRequestError if fields conflict.
    """
    logprobs = body.logprobs or 0 if ranks_choices(body) else body.logprobs
    limit = COMPLETION_MAX_TOKENS if body.max_tokens is None else body.max_tokens
    prompts = [_prompt(prompt, body.suffix) for prompt in body.prompt]
    echo = bool(body.echo)
    if limit == 0 and not echo:
        raise InvalidRequestError("max_tokens must be at least 1 without echo", "max_tokens")
    if echo and body.suffix:
        raise InvalidRequestError("echo cannot be combined with suffix", "echo")
    n = body.best_of or body.n or 1
    return [_request(body, prompt, limit, logprobs, n=n, echo=echo) for prompt in prompts]


def ranks_choices(body: schema.CompletionRequest) -> bool:
    """Whether more choices are generated than returned; raise InvalidRequestError if impossible."""
    n = body.n or 1
    if body.best_of is None or body.best_of == n:
        return False
    if body.best_of < n:
        raise InvalidRequestError("best_of must not be less than n", "best_of")
    if body.stream:
        raise InvalidRequestError("best_of cannot be streamed", "best_of")
    return True


def _prompt(prompt: str | list[int], suffix: str | None) -> Prompt:
    if not suffix:
        return _text_or_tokens(prompt)
    if not isinstance(prompt, str):
        raise InvalidRequestError("suffix requires a prompt of text", "suffix")
    return InfillPrompt(prefix=prompt, suffix=suffix)


def _text_or_tokens(value: str | list[int]) -> TextPrompt | TokenPrompt:
    return TextPrompt(text=value) if isinstance(value, str) else TokenPrompt(token_ids=tuple(value))


def from_embedding(body: schema.CreateEmbeddingRequest) -> EmbedRequest:
    """Translate `POST /v1/embeddings`: an input that exceeds the context is an error."""
    return EmbedRequest(
        prompts=tuple(_text_or_tokens(one) for one in body.input),
        truncate=False,
        dimensions=body.dimensions,
        normalize=True,
    )


def embedding_param(wire_field: str) -> str:
    """Map a wire field to the field of `POST /v1/embeddings`."""
    return "input" if wire_field.startswith("prompt") else wire_field


def given(body: schema.SamplingRequest) -> frozenset[str]:
    """Return the wire fields that the request sets, if only to their defaults."""
    values = {
        "max_tokens": (body.max_tokens, getattr(body, "max_completion_tokens", None)),
        "max_context": (body.options and body.options.num_ctx,),
        "seed": (body.seed,),
        "stop": (body.stop,),
    }
    return frozenset(f for f, found in values.items() if any(v is not None for v in found))


def chat_param(wire_field: str, structured: str = "response_format") -> str:
    """Map a wire field to the field of `POST /v1/chat/completions`.

    `structured` is the field that describes a structured output.
    """
    return _param(wire_field, "messages", structured)


def completion_param(wire_field: str, structured: str = "response_format") -> str:
    """Map a wire field to the field of `POST /v1/completions`, as `chat_param` does."""
    return _param(wire_field, "prompt", structured)


def _param(wire_field: str, prompt_field: str, structured: str) -> str:
    return dialect_field(wire_field, {**_PARAMS, "structured_output": structured}, prompt_field)


def _request(
    body: schema.SamplingRequest,
    prompt: Prompt,
    max_tokens: int | None,
    logprobs: int | None,
    *,
    n: int | None = None,
    echo: bool = False,
    use: ToolUse = NO_TOOLS,
) -> GenerateRequest:
    if body.stream_options and not body.stream:
        raise InvalidRequestError("stream_options requires stream to be true", "stream_options")
    num_ctx = body.options.num_ctx if body.options else None
    return GenerateRequest(
        prompt=prompt,
        sampling=_sampling(body),
        fallback=DEFAULTS,
        max_tokens=max_tokens,
        min_tokens=body.min_tokens or 0,
        stop=tuple(body.stop or ()),
        stop_token_ids=tuple(body.stop_token_ids or ()),
        ignore_eos=bool(body.ignore_eos),
        seed=None if body.seed is None else body.seed & _SEED_MASK,
        n=n or body.n or 1,
        logprobs=logprobs,
        echo=echo,
        max_context=num_ctx or None,
        structured_output=structured_output(body),
        tool_choice=use.choice,
        allowed_tools=use.allowed,
        parallel_tool_calls=use.parallel,
        stream_tool_calls=bool(use.tools),
    )


def _sampling(body: schema.SamplingRequest) -> Sampling:
    repetition = body.repetition_penalty
    return Sampling(
        temperature=0.0 if body.top_p == 0 else body.temperature,
        top_k=body.top_k,
        top_p=body.top_p or None,
        min_p=body.min_p,
        repetition_penalty=body.repeat_penalty if repetition is None else repetition,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        logit_bias=body.logit_bias,
    )


def _continues(body: schema.ChatCompletionRequest) -> bool:
    """Whether the last message is continued: vLLM's field, or no generation prompt."""
    assistant_last = body.messages[-1].role == "assistant"
    if body.continue_final_message and not assistant_last:
        field = "continue_final_message"
        raise InvalidRequestError(f"{field} requires a final assistant message", field)
    requested = body.continue_final_message or body.add_generation_prompt is False
    return bool(requested and assistant_last)


def to_messages(messages: Sequence[ChatCompletionMessageParam]) -> tuple[ChatMessage, ...]:
    """Translate the messages; a tool result gets the name of the function that was called."""
    names: dict[str, str] = {}
    turns: list[ChatMessage] = []
    for message in messages:
        turn = _message(message, names)
        names |= {call.id: call.name for call in turn.tool_calls if call.id}
        turns.append(turn)
    return tuple(turns)


def _message(message: ChatCompletionMessageParam, names: Mapping[str, str]) -> ChatMessage:
    call_id = message.tool_call_id
    thoughts = (message.reasoning_content, message.reasoning, message.thinking)
    return ChatMessage.model_validate(
        {
            "role": _ROLES.get(message.role, message.role),
            "content": message.content or message.refusal or "",
            "thinking": next((text for text in thoughts if text is not None), None),
            "tool_calls": _calls(message),
            "tool_call_id": call_id,
            "name": message.name or (names.get(call_id) if call_id else None),
        }
    )


def _calls(message: ChatCompletionMessageParam) -> tuple[ToolCallRequest, ...]:
    functions = [(call.id, call.function) for call in message.tool_calls or ()]
    if message.function_call is not None:
        functions.append((None, message.function_call))
    return tuple(to_tool_call(id, called.name, called.arguments) for id, called in functions)


def structured_output(body: schema.SamplingRequest) -> StructuredOutput | None:
    """Translate the one field that is set; raise InvalidRequestError for two of them."""
    found = _outputs(body)
    if len(found) > 1:
        names = ", ".join(found)
        raise InvalidRequestError(f"only one of {names} can be set", next(iter(found)))
    return next(iter(found.values()), None)


def structured_field(body: schema.SamplingRequest) -> str:
    """Return the name of the field that is set."""
    return next(iter(_outputs(body)), "response_format")


def _outputs(body: schema.SamplingRequest) -> Mapping[str, StructuredOutput]:
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
