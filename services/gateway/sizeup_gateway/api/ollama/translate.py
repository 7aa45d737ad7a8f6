"""Ollama's request bodies -> wire requests. Pure."""

from dataclasses import dataclass
from typing import Any, Literal

from sizeup_gateway.api.history import to_tool_call
from sizeup_gateway.api.ollama import schema
from sizeup_gateway.errors import InvalidRequestError
from sizeup_wire.embeddings import EmbedRequest
from sizeup_wire.generate import (
    AutoPrompt,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    InfillPrompt,
    JsonObjectOutput,
    JsonSchemaOutput,
    Prompt,
    Sampling,
    StructuredOutput,
    TextPrompt,
    ThinkingMode,
)

DEFAULTS = Sampling(temperature=0.8, top_k=40, top_p=0.9, repeat_last_n=64)
"""DefaultOptions of Ollama's api/types.go, where they are not neutral."""

StreamDefault = Literal["auto", "always", "never"]

_MAX_COUNT = 2**31 - 1
"""Larger counts are equivalent: no context is as long."""
_MAX_TEMPERATURE = 100.0
_MAX_PENALTY = 10.0
_FIELDS = {
    "num_predict": "max_tokens",
    "num_ctx": "max_context",
    "num_keep": "num_keep",
    "seed": "seed",
    "stop": "stop",
}
"""Wire fields of the options that are not about sampling."""
_SEED_MASK = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """The form of a response of /api/chat."""

    streams: bool
    images: bool = False
    """Add `"images": null` to the message, as Ollama did in December 2023."""


def delivery(
    stream: bool | None, accept: str, stream_default: StreamDefault, *, by_hub_id: bool
) -> Delivery:
    """Decide the form of the response; the first rule that applies wins.

    Clients that omit `stream` are Ollama's own (they accept NDJSON) and hand-written ones; of
    these, the ones that name a model by its Hugging Face id expect one object.
    """
    accepted = accept.strip().lower()
    if stream is not None:
        return Delivery(stream)
    if "application/x-ndjson" in accepted:
        return Delivery(streams=True)
    if accepted == "application/json":
        return Delivery(streams=False)
    if stream_default == "never" or (stream_default == "auto" and by_hub_id):
        return Delivery(streams=False, images=True)
    return Delivery(streams=True)


def from_chat(body: schema.ChatRequest) -> GenerateRequest:
    """Translate `POST /api/chat`; `messages` is not empty."""
    return _request(body, chat_prompt(body), return_context=False)


def chat_prompt(body: schema.ChatRequest) -> ChatPrompt:
    """Translate the messages; text of the model at the end is continued, as in Ollama."""
    messages = tuple(_message(message) for message in body.messages or ())
    last = messages[-1]
    return ChatPrompt(
        messages=messages,
        tools=tuple(body.tools or ()),
        thinking=_thinking(body),
        continue_final=bool(last.role == "assistant" and last.content and not last.tool_calls),
    )


def from_generate(body: schema.GenerateRequest) -> GenerateRequest:
    """Translate `POST /api/generate`."""
    return _request(body, generate_prompt(body), return_context=not (body.raw or body.suffix))


def generate_prompt(body: schema.GenerateRequest) -> Prompt:
    """Translate the prompt; raise InvalidRequestError if fields contradict each other."""
    if body.raw and (body.system or body.context):
        raise InvalidRequestError("raw mode does not support template, system, or context", "raw")
    if body.suffix and (body.system or body.context):
        raise InvalidRequestError("suffix does not support system or context", "suffix")
    if body.suffix:
        return InfillPrompt(prefix=body.prompt or "", suffix=body.suffix)
    if body.raw:
        return TextPrompt(text=body.prompt or "")
    return AutoPrompt(
        text=body.prompt or "",
        system=body.system or None,
        thinking=_thinking(body),
        prefix_token_ids=tuple(body.context or ()),
    )


def from_embed(body: schema.EmbedRequest) -> EmbedRequest:
    """Translate `POST /api/embed`; `input` is not empty."""
    return EmbedRequest(
        prompts=tuple(TextPrompt(text=text) for text in body.input or ()),
        truncate=body.truncate is not False,
        max_context=_max_context(body.options),
        dimensions=min(body.dimensions, _MAX_COUNT) if body.dimensions else None,
        normalize=True,
        keep_alive_seconds=body.keep_alive,
    )


def from_embedding(body: schema.EmbeddingRequest) -> EmbedRequest:
    """Translate `POST /api/embeddings`; `prompt` is not empty."""
    return EmbedRequest(
        prompts=(TextPrompt(text=body.prompt or ""),),
        max_context=_max_context(body.options),
        keep_alive_seconds=body.keep_alive,
    )


def embed_param(wire_field: str) -> str:
    """Map a wire field to the field of `POST /api/embed`."""
    if wire_field == "max_context":
        return "options.num_ctx"
    return "input" if wire_field.startswith("prompt") else wire_field


def _max_context(options: schema.Options | None) -> int | None:
    return min(options.num_ctx, _MAX_COUNT) if options and options.num_ctx else None


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
            to_tool_call(call.id, call.function.name, call.function.arguments) for call in calls
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
        max_context=_max_context(options),
        truncate=body.truncate is not False,
        num_keep=_count(options.num_keep),
        return_context=return_context,
        structured_output=_structured_output(body.format),
        keep_alive_seconds=body.keep_alive,
    )


def _structured_output(format: str | dict[str, Any] | bool | None) -> StructuredOutput | None:
    if format is None:
        return None
    return (
        JsonSchemaOutput(json_schema=format) if not isinstance(format, str) else JsonObjectOutput()
    )


def _count(value: int | None) -> int | None:
    """Return a count, which is unlimited if negative."""
    if value is None:
        return None
    return _MAX_COUNT if value < 0 else min(value, _MAX_COUNT)


def given(body: schema.ModelRequest) -> frozenset[str]:
    """Return the wire fields that the options set, if only to their defaults."""
    options = body.options or schema.Options()
    return frozenset(f for name, f in _FIELDS.items() if getattr(options, name) is not None)


def _max_tokens(num_predict: int | None) -> int | None:
    if num_predict is None or num_predict < 0:
        return None
    return min(num_predict, _MAX_COUNT)


def _seed(seed: int | None) -> int | None:
    """Reduce Ollama's 64 bits to the wire's 63; -1 is random."""
    return None if seed is None or seed == -1 else seed & _SEED_MASK


def _sampling(options: schema.Options) -> Sampling:
    """Clamp values for which Ollama accepts any number."""
    return Sampling(
        temperature=0.0
        if options.top_p == 0
        else _clamp(options.temperature, 0.0, _MAX_TEMPERATURE),
        top_k=None if options.top_k is None else min(max(options.top_k, 0), _MAX_COUNT),
        top_p=options.top_p or None,
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
