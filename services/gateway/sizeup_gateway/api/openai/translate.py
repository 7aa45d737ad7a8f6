"""OpenAI's request bodies -> wire requests. Pure."""

from collections.abc import Mapping

from sizeup_gateway.api.openai import schema
from sizeup_gateway.api.openai.output_translate import structured_output, tool_use
from sizeup_gateway.api.tool_choice import NO_TOOLS, ToolUse
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import (
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    Prompt,
    Sampling,
    TextPrompt,
    ThinkingMode,
    TokenPrompt,
    ToolCallRequest,
)

DEFAULTS = Sampling(temperature=1.0, top_p=1.0)
"""OpenAI's defaults; the model's generation_config.json takes precedence."""

COMPLETION_MAX_TOKENS = 16
"""OpenAI's default on /v1/completions."""

_SEED_MASK = 2**63 - 1
_ROLES: Mapping[str, str] = {"developer": "system", "function": "tool"}
_NO_EFFORT = ("none",)
_PARAMS: Mapping[str, str] = {
    "prompt.tools": "tools",
    "prompt.thinking": "reasoning_effort",
    "prompt.continue_final": "continue_final_message",
    "max_context": "options.num_ctx",
    "structured_output": "response_format",
}
"""Names of wire fields that differ in this API."""


def from_chat(body: schema.ChatCompletionRequest) -> GenerateRequest:
    """Translate `POST /v1/chat/completions`; raise InvalidRequestError if fields conflict.

    The reasoning effort is a hint: a model without thinking ignores it.
    """
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidRequestError("top_logprobs requires logprobs to be true", "top_logprobs")
    limit = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    use = tool_use(body)
    prompt = ChatPrompt(
        messages=_messages(body.messages),
        tools=use.tools,
        thinking=_thinking(body),
        continue_final=_continues(body),
    )
    logprobs = (body.top_logprobs or 0) if body.logprobs else None
    return _request(body, prompt, limit, logprobs, use=use)


def from_completion(body: schema.CompletionRequest) -> list[GenerateRequest]:
    """Translate `POST /v1/completions`: one request per prompt."""
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise InvalidRequestError("best_of is not supported: it must equal n", "best_of")
    limit = COMPLETION_MAX_TOKENS if body.max_tokens is None else body.max_tokens
    prompts: list[Prompt] = [
        TextPrompt(text=prompt) if isinstance(prompt, str) else TokenPrompt(token_ids=tuple(prompt))
        for prompt in body.prompt
    ]
    echo = bool(body.echo)
    return [_request(body, prompt, limit, body.logprobs, echo=echo) for prompt in prompts]


def chat_param(wire_field: str) -> str:
    """Map a wire field to the field of `POST /v1/chat/completions`."""
    return _param(wire_field, "messages")


def completion_param(wire_field: str) -> str:
    """Map a wire field to the field of `POST /v1/completions`."""
    return _param(wire_field, "prompt")


def _param(wire_field: str, prompt_field: str) -> str:
    if wire_field in _PARAMS:
        return _PARAMS[wire_field]
    root, _, rest = wire_field.partition(".")
    if root == "prompt":
        return prompt_field
    return rest if root == "sampling" and rest else wire_field


def _request(
    body: schema.SamplingRequest,
    prompt: Prompt,
    max_tokens: int | None,
    logprobs: int | None,
    *,
    echo: bool = False,
    use: ToolUse = NO_TOOLS,
) -> GenerateRequest:
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
        n=body.n or 1,
        logprobs=logprobs,
        echo=echo,
        max_context=num_ctx or None,
        structured_output=structured_output(body),
        tool_choice=use.choice,
        allowed_tools=use.allowed,
        parallel_tool_calls=use.parallel,
        stream_tool_calls=bool(body.stream),
    )


def _sampling(body: schema.SamplingRequest) -> Sampling:
    repetition = body.repetition_penalty
    return Sampling(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        min_p=body.min_p,
        repetition_penalty=body.repeat_penalty if repetition is None else repetition,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        logit_bias=body.logit_bias,
    )


def _messages(messages: list[schema.ChatCompletionMessageParam]) -> tuple[ChatMessage, ...]:
    """Translate the messages; a tool result gets the name of the function that was called."""
    names: dict[str, str] = {}
    turns: list[ChatMessage] = []
    for i, message in enumerate(messages):
        if message.content is None and not message.tool_calls:
            field = f"messages.{i}.content"
            raise InvalidRequestError(f"{field}: required without tool calls", field)
        turns.append(_message(message, names))
        names |= {call.id: call.function.name for call in message.tool_calls or () if call.id}
    return tuple(turns)


def _message(message: schema.ChatCompletionMessageParam, names: Mapping[str, str]) -> ChatMessage:
    call_id = message.tool_call_id
    return ChatMessage.model_validate(
        {
            "role": _ROLES.get(message.role, message.role),
            "content": message.content or "",
            "thinking": message.reasoning_content,
            "tool_calls": tuple(
                ToolCallRequest(
                    id=call.id, name=call.function.name, arguments=call.function.arguments
                )
                for call in message.tool_calls or ()
            ),
            "tool_call_id": call_id,
            "name": message.name or (names.get(call_id) if call_id else None),
        }
    )


def _thinking(body: schema.ChatCompletionRequest) -> ThinkingMode | None:
    enabled = _thinking_enabled(body)
    if enabled is None:
        return None
    return "if_supported" if enabled else "off"


def _thinking_enabled(body: schema.ChatCompletionRequest) -> bool | None:
    """Read the first of the three fields that is set; None is the template's default."""
    if body.chat_template_kwargs and body.chat_template_kwargs.enable_thinking is not None:
        return body.chat_template_kwargs.enable_thinking
    if body.think is not None:
        return body.think
    if body.reasoning_effort is None:
        return None
    return body.reasoning_effort not in _NO_EFFORT


def _continues(body: schema.ChatCompletionRequest) -> bool:
    """Whether the last message is continued: vLLM's field, or no generation prompt."""
    assistant_last = body.messages[-1].role == "assistant"
    if body.continue_final_message and not assistant_last:
        field = "continue_final_message"
        raise InvalidRequestError(f"{field} requires a final assistant message", field)
    requested = body.continue_final_message or body.add_generation_prompt is False
    return bool(requested and assistant_last)
