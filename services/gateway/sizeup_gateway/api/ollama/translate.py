"""Ollama's request bodies -> wire requests. Pure."""

from dataclasses import dataclass
from typing import Literal

from sizeup_gateway.api.ollama import schema
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.generate import (
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    Prompt,
    Sampling,
    TextPrompt,
    ThinkingMode,
    ToolCallRequest,
)

DEFAULTS = Sampling(temperature=0.8, top_k=40, top_p=0.9, repeat_last_n=64)
"""DefaultOptions of Ollama's api/types.go, where the neutral value is not the default."""

StreamDefault = Literal["auto", "ollama", "seed"]

_MAX_COUNT = 2**31 - 1
"""Larger counts mean the same as this one: no context is so long."""
_MAX_TEMPERATURE = 100.0
_MAX_PENALTY = 10.0
_SEED_MASK = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """How /api/chat is answered."""

    streams: bool
    images: bool = False
    """Put `"images": null` into the message, as Ollama did in December 2023."""


def delivery(
    stream: bool | None, accept: str, model: str, stream_default: StreamDefault
) -> Delivery:
    """Decide how to answer; the first rule that applies wins.

    Clients that leave `stream` out are Ollama's own (they accept NDJSON) and hand-written ones;
    those that name a model by its Hugging Face id expect one object.
    """
    accepted = accept.strip().lower()
    if stream is not None:
        return Delivery(stream)
    if "application/x-ndjson" in accepted:
        return Delivery(streams=True)
    if accepted == "application/json":
        return Delivery(streams=False)
    if stream_default == "seed" or (stream_default == "auto" and "/" in model):
        return Delivery(streams=False, images=True)
    return Delivery(streams=True)


def from_chat(body: schema.ChatRequest) -> GenerateRequest:
    """Translate `POST /api/chat`; there is at least one message."""
    return _request(body, chat_prompt(body), return_context=False)


def chat_prompt(body: schema.ChatRequest) -> ChatPrompt:
    """Translate the conversation."""
    return ChatPrompt(
        messages=tuple(_message(message) for message in body.messages or ()),
        tools=tuple(body.tools or ()),
        thinking=_thinking(body),
    )


def from_generate(body: schema.GenerateRequest, *, has_template: bool) -> GenerateRequest:
    """Translate `POST /api/generate`; a model without a chat template continues the text."""
    prompt = generate_prompt(body, has_template=has_template)
    return _request(body, prompt, return_context=not body.raw)


def generate_prompt(body: schema.GenerateRequest, *, has_template: bool) -> Prompt:
    """Translate the prompt, or raise InvalidRequestError where fields contradict each other."""
    if body.raw and (body.system or body.context):
        raise InvalidRequestError("raw mode does not support template, system, or context", "raw")
    if body.context and not has_template:
        raise InvalidRequestError("context needs a model with a chat template", "context")
    if body.raw or not has_template:
        parts = (body.system, body.prompt)
        return TextPrompt(text="\n\n".join(part for part in parts if part))
    turns: list[ChatMessage] = []
    if body.system:
        turns.append(ChatMessage(role="system", content=body.system))
    turns.append(ChatMessage(role="user", content=body.prompt or ""))
    return ChatPrompt(
        messages=tuple(turns),
        thinking=_thinking(body),
        prefix_token_ids=tuple(body.context or ()),
    )


def thinks(body: schema.ModelRequest) -> bool:
    """Tell whether a request asks for thinking in so many words."""
    return _thinking(body) == "on"


def _thinking(body: schema.ModelRequest) -> ThinkingMode | None:
    think = body.think
    if think is None and body.options is not None:
        think = body.options.think
    if think is None:
        return None
    return "off" if think is False else "on"


def _message(message: schema.Message) -> ChatMessage:
    calls = message.tool_calls or ()
    return ChatMessage(
        role=message.role,
        content=message.content or "",
        thinking=message.thinking,
        tool_calls=tuple(
            ToolCallRequest(
                id=call.id, name=call.function.name, arguments=call.function.arguments or {}
            )
            for call in calls
        ),
        tool_call_id=message.tool_call_id,
        name=message.tool_name,
    )


def _request(body: schema.ModelRequest, prompt: Prompt, *, return_context: bool) -> GenerateRequest:
    options = body.options or schema.Options()
    return GenerateRequest(
        prompt=prompt,
        sampling=_sampling(options),
        fallback=DEFAULTS,
        max_tokens=_max_tokens(options.num_predict),
        stop=tuple(options.stop or ()),
        seed=_seed(options.seed),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        max_context=min(options.num_ctx, _MAX_COUNT) if options.num_ctx else None,
        truncate=body.truncate is not False,
        return_context=return_context,
        keep_alive_seconds=body.keep_alive,
    )


def _max_tokens(num_predict: int | None) -> int | None:
    if num_predict is None or num_predict < 0:
        return None
    return min(num_predict, _MAX_COUNT)


def _seed(seed: int | None) -> int | None:
    """Fold Ollama's 64 bits into the wire's 63; -1 is random."""
    return None if seed is None or seed == -1 else seed & _SEED_MASK


def _sampling(options: schema.Options) -> Sampling:
    """Clamp where Ollama takes any number."""
    return Sampling(
        temperature=_clamp(options.temperature, 0.0, _MAX_TEMPERATURE),
        top_k=None if options.top_k is None else min(max(options.top_k, 0), _MAX_COUNT),
        top_p=options.top_p,
        min_p=options.min_p,
        repetition_penalty=options.repeat_penalty,
        presence_penalty=_clamp(options.presence_penalty, -_MAX_PENALTY, _MAX_PENALTY),
        frequency_penalty=_clamp(options.frequency_penalty, -_MAX_PENALTY, _MAX_PENALTY),
        repeat_last_n=None
        if options.repeat_last_n is None
        else min(options.repeat_last_n, _MAX_COUNT),
    )


def _clamp(value: float | None, low: float, high: float) -> float | None:
    return None if value is None else min(max(value, low), high)
