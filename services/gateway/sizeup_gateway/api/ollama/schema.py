"""Request bodies of Ollama's API; field names are those of its api/types.go."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sizeup_gateway.api.ollama.duration import keep_alive_seconds
from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import CONTEXT_SIZE, Stop, Suffix, Tools, unsupported
from sizeup_wire.embeddings import MAX_INPUTS
from sizeup_wire.generate import MAX_LOGPROBS

_SHOWN_CHARACTERS = 64
"""Of an invalid value, in the error."""
THINK_LEVELS = ("high", "medium", "low", "max")


def _integral(value: object) -> object:
    """Convert 4096.0 to 4096, as Ollama does for options."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _known_think(value: object) -> object:
    if value is None or isinstance(value, bool) or value in THINK_LEVELS:
        return value
    levels = '"high", "medium", "low", "max", true, or false'
    shown = f'"{value[:32]}"' if isinstance(value, str) else type(value).__name__
    raise ValueError(f"invalid think value: {shown} (must be {levels})")


def _format(value: object) -> object:
    if value in (None, ""):
        return None
    if value == "json" or isinstance(value, dict | bool):
        return value
    shown = json.dumps(value)[:_SHOWN_CHARACTERS]
    raise ValueError(f'invalid format: {shown}; expected "json" or a valid JSON Schema object')


def _keep_alive(value: object) -> object:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("keep_alive must be a number of seconds or a duration")  # noqa: TRY004
    return keep_alive_seconds(value)


def _top_logprobs(value: int | None) -> int | None:
    if value is not None and not 0 <= value <= MAX_LOGPROBS:
        raise ValueError(f"top_logprobs must be between 0 and {MAX_LOGPROBS}")
    return value


def _inputs(value: object) -> object:
    """Normalize a text to a list, and no text to none."""
    if value in (None, ""):
        return None
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("invalid input type")
    return texts


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _no_typical_p(value: float | None) -> float | None:
    if value not in (None, 0.0, 1.0):
        raise ValueError("typical_p is not supported")
    return value


TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Integer = Annotated[int, BeforeValidator(_integral)]
Think = Annotated[bool | str | None, BeforeValidator(_known_think)]
KeepAlive = Annotated[
    float | None, BeforeValidator(_keep_alive, json_schema_input_type=float | str | None)
]
Images = Annotated[None, unsupported("images are not supported by this server")]
Format = Annotated[
    Literal["json"] | dict[str, Any] | bool | None,
    BeforeValidator(_format, json_schema_input_type=str | dict[str, Any] | bool | None),
]
Template = Annotated[
    None, unsupported("template is not supported: the model's own template is used")
]
TopLogprobs = Annotated[int | None, AfterValidator(_top_logprobs)]


class Options(RequestBody):
    """Sampling and context size; hardware options and obsolete ones are ignored."""

    num_ctx: Annotated[Integer | None, Field(ge=0), CONTEXT_SIZE] = None
    """In tokens; 0: the model's own."""
    num_predict: Integer | None = None
    """In tokens; negative: no limit."""
    seed: Annotated[Integer | None, Field(ge=-(2**63), lt=2**64)] = None
    """-1: random."""
    temperature: Annotated[float | None, Field(ge=0)] = None
    top_k: Integer | None = None
    """0 and below: off."""
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    typical_p: Annotated[float | None, AfterValidator(_no_typical_p)] = None
    repeat_last_n: Annotated[Integer | None, Field(ge=-1)] = None
    repeat_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: Stop | None = None
    think: Think = None
    """LiteLLM sends `think` here."""


class ToolCallFunction(RequestBody):
    """The function of an earlier tool call."""

    name: str
    arguments: dict[str, Any] | None = None


class ToolCall(RequestBody):
    """An earlier tool call from the model."""

    id: str | None = None
    function: ToolCallFunction


class Message(RequestBody):
    """A message of the conversation."""

    role: Annotated[Literal["system", "user", "assistant", "tool"], BeforeValidator(_lower)]
    content: str | None = None
    thinking: str | None = None
    images: Images = None
    tool_calls: list[ToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class ModelRequest(RequestBody):
    """Fields of every request that runs a model."""

    model: str | None = None
    stream: bool | None = None
    keep_alive: KeepAlive = None
    """Seconds as a number, or a duration such as "5m"; negative is unlimited, 0 unloads."""
    options: Options | None = None
    format: Format = None
    think: Think = None
    truncate: bool | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs = None
    debug_render_only: bool | None = Field(None, alias="_debug_render_only")


class ChatRequest(ModelRequest):
    """`POST /api/chat`."""

    messages: Annotated[list[Message], Field(max_length=4096)] | None = None
    tools: Tools | None = None


class GenerateRequest(ModelRequest):
    """`POST /api/generate`."""

    prompt: str | None = None
    suffix: Suffix = None
    system: str | None = None
    template: Template = None
    context: Annotated[list[TokenId], Field(max_length=2**20)] | None = None
    raw: bool | None = None
    images: Images = None


class EmbedOptions(Options):
    """Options of embeddings, of which only the context size has an effect."""

    num_ctx: Annotated[Integer | None, Field(ge=0)] = None
    """In tokens, at least one; 0: the model's own."""


class EmbedRequest(RequestBody):
    """`POST /api/embed`."""

    model: str | None = None
    input: Annotated[
        Annotated[list[str], Field(max_length=MAX_INPUTS)] | None,
        BeforeValidator(_inputs, json_schema_input_type=str | list[str] | None),
    ] = None
    """Without a text the model is loaded."""
    truncate: bool | None = None
    """False: an input that exceeds the context is an error; else its end is cut."""
    dimensions: Annotated[Integer | None, Field(ge=0)] = None
    """Components of a vector; a model with fewer gives all it has, as for 0."""
    keep_alive: KeepAlive = None
    options: EmbedOptions | None = None


class EmbeddingRequest(RequestBody):
    """`POST /api/embeddings`, the route before `/api/embed`."""

    model: str | None = None
    prompt: str | None = None
    """Without a text the model is loaded."""
    keep_alive: KeepAlive = None
    options: EmbedOptions | None = None


class ShowRequest(RequestBody):
    """`POST /api/show`."""

    model: str | None = None
    name: str | None = None
    """Former name of `model`, which old clients send."""
    verbose: bool | None = None
