"""Request bodies of OpenAI's API, with extensions of vLLM, llama.cpp and Ollama."""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from sizeup_gateway.api.openai.message_schema import ChatCompletionMessageParam
from sizeup_gateway.api.openai.output_schema import (
    FunctionCallField,
    Grammar,
    JsonSchema,
    ResponseFormat,
    StructuredOutputs,
    Texts,
    ToolChoiceField,
)
from sizeup_gateway.api.openai.reasoning import ReasoningFields
from sizeup_gateway.api.request_body import RequestBody
from sizeup_gateway.api.request_fields import (
    CONTEXT_SIZE,
    MAX_TOKEN_IDS,
    MAX_TOOLS,
    Function,
    Integer,
    Stop,
    Tools,
    at_most,
    integrals,
    unsupported,
)
from sizeup_wire.embeddings import MAX_INPUTS
from sizeup_wire.generate import MAX_CHOICES, MAX_LOGPROBS, MAX_STOP_STRINGS, OutputText

MAX_PROMPTS = 128
"""Prompts of a /v1/completions request; evaluation harnesses send batches of up to 64."""

_MAX_COUNT = 2**31 - 1
_MAX_LOGIT_BIAS = 1024
_MAX_METADATA = 1024
"""Fields; OpenAI allows 16."""


def _token_ids(value: object) -> object:
    """Convert the keys to token ids: JSON object keys are strings."""
    if not isinstance(value, dict):
        return value
    if not all(key.isdecimal() and key.isascii() and len(key) < 10 for key in value):
        raise ValueError("the keys of logit_bias must be token ids")
    return {int(key): bias for key, bias in value.items()}


def _top_k(value: int | None) -> int | None:
    """Accept vLLM's -1 for off."""
    if value is not None and value < -1:
        raise ValueError("top_k must be -1 or 0 (off), or a positive number")
    return None if value is None else min(max(value, 0), _MAX_COUNT)


Count = Annotated[Integer | None, Field(ge=0, le=_MAX_COUNT)]
PositiveCount = Annotated[Count, Field(ge=1)]
_TOKEN_RANGE = Field(ge=0, le=_MAX_COUNT)
TokenId = Annotated[int, _TOKEN_RANGE]
StopTokens = Annotated[list[Annotated[Integer, _TOKEN_RANGE]], Field(max_length=MAX_STOP_STRINGS)]
Penalty = Annotated[float | None, Field(ge=-2, le=2)]
Bias = Annotated[float, Field(ge=-100, le=100)]
TokenKey = Annotated[str, Field(pattern="^[0-9]{1,9}$")]
LogitBias = Annotated[
    dict[int, Bias],
    BeforeValidator(_token_ids, json_schema_input_type=dict[TokenKey, Bias]),
    at_most(_MAX_LOGIT_BIAS),
    Field(max_length=_MAX_LOGIT_BIAS, json_schema_extra={"additionalProperties": False}),
]


class StreamOptions(RequestBody):
    """Additional content of a stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None
    """Without effect: no chunk has one."""


class ContextOptions(RequestBody):
    """Those of Ollama's options that OpenAI's API lacks."""

    num_ctx: Annotated[Count, CONTEXT_SIZE] = None
    """In tokens; 0: the model's own."""


class SamplingRequest(RequestBody):
    """Fields of both completion routes."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    """0 is greedy."""
    top_k: Annotated[Integer | None, AfterValidator(_top_k)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None
    repetition_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    repeat_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    """llama.cpp's and Ollama's name of repetition_penalty."""
    logit_bias: LogitBias | None = None
    seed: Annotated[Integer | None, Field(ge=-(2**63), lt=2**64)] = None
    n: Annotated[Integer | None, Field(ge=1, le=MAX_CHOICES)] = None
    max_tokens: Count = None
    min_tokens: Count = None
    stop: Stop | None = None
    stop_token_ids: StopTokens | None = None
    ignore_eos: bool | None = None
    prompt_logprobs: Annotated[
        None, unsupported("prompt_logprobs is not supported; use echo with logprobs")
    ] = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: JsonSchema | None = None
    """vLLM's former name of structured_outputs.json, like the other two."""
    guided_regex: OutputText | None = None
    guided_choice: Texts | None = None
    guided_grammar: Grammar = None
    options: ContextOptions | None = None
    user: str | None = None


def _only_text(value: list[str]) -> list[str]:
    if "audio" in value:
        raise ValueError("audio output is not supported by this server")
    return value


Modalities = Annotated[list[Literal["text", "audio"]], AfterValidator(_only_text)]


class PromptCacheOptions(RequestBody):
    """How OpenAI's prompt cache works; the prefix cache of this server needs no options."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None


class Prediction(RequestBody):
    """Text that the output may repeat, which changes its speed only."""

    type: Literal["content"]
    content: str | list[dict[str, Any]]


class PlatformFields(RequestBody):
    """Fields of chat completions for what OpenAI's platform does around a model.

    Those that change no output are checked and without effect; an output that this server cannot
    give is rejected.
    """

    metadata: Annotated[dict[str, str], at_most(_MAX_METADATA)] | None = None
    store: bool | None = None
    """Nothing is stored in any case."""
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    prompt_cache_options: PromptCacheOptions | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    prediction: Prediction | None = None
    modalities: Modalities | None = None
    audio: Annotated[None, unsupported("audio output is not supported by this server")] = None
    web_search_options: Annotated[
        None, unsupported("web search is not supported by this server")
    ] = None
    moderation: Annotated[None, unsupported("moderation is not supported by this server")] = None


class ChatCompletionRequest(SamplingRequest, ReasoningFields, PlatformFields):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[ChatCompletionMessageParam], Field(min_length=1, max_length=4096)]
    max_tokens: PositiveCount = None
    max_completion_tokens: PositiveCount = None
    """Newer name of max_tokens; takes precedence over it."""
    logprobs: bool | None = None
    top_logprobs: Annotated[Integer | None, Field(ge=0, le=MAX_LOGPROBS)] = None
    tools: Tools | None = None
    tool_choice: ToolChoiceField = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[Function], Field(max_length=MAX_TOOLS)] | None = None
    """Predecessor of tools, like function_call of tool_choice."""
    function_call: FunctionCallField = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None


_TOKENS = Field(min_length=1, max_length=MAX_TOKEN_IDS)
Tokens = Annotated[list[TokenId], BeforeValidator(integrals), _TOKENS]
_PROMPTS = Field(min_length=1, max_length=MAX_PROMPTS)
_INPUTS = Field(min_length=1, max_length=MAX_INPUTS)


def _normalized(
    most: int, empty: str, value: object, validate: ValidatorFunctionWrapHandler
) -> object:
    """Normalize the four forms of a prompt or an input to a list of texts or of token lists."""
    try:
        return validate(_listed(value))
    except ValidationError:  # pydantic would report only the form that it tried first
        forms = f"a string, a list of token ids, or a list of at most {most} of either"
        raise ValueError(f"must be {forms}; {empty} may be empty") from None


def _listed(value: object) -> object:
    single = isinstance(value, list) and value and not isinstance(value[0], str | list)
    return [value] if single or isinstance(value, str) else value


class CompletionRequest(SamplingRequest):
    """`POST /v1/completions`."""

    prompt: Annotated[
        list[str] | list[Tokens],
        _PROMPTS,
        WrapValidator(
            partial(_normalized, MAX_PROMPTS, "no list"),
            json_schema_input_type=str
            | Annotated[list[str], _PROMPTS]
            | Annotated[list[Tokens], _PROMPTS]
            | Tokens,
        ),
    ]
    best_of: Annotated[Integer | None, Field(ge=1, le=MAX_CHOICES)] = None
    """Choices to generate; the n likeliest of them, by the mean of their tokens, are returned."""
    echo: bool | None = None
    suffix: str | None = None
    """Text after the completion."""
    logprobs: Annotated[Integer | None, Field(ge=0, le=5)] = None


_Text = Annotated[str, Field(min_length=1)]


class CreateEmbeddingRequest(RequestBody):
    """`POST /v1/embeddings`."""

    model: str | None = None
    input: Annotated[
        list[_Text] | list[Tokens],
        _INPUTS,
        WrapValidator(
            partial(_normalized, MAX_INPUTS, "no string and no list"),
            json_schema_input_type=_Text
            | Annotated[list[_Text], _INPUTS]
            | Annotated[list[Tokens], _INPUTS]
            | Tokens,
        ),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    """base64 is of float32, little-endian."""
    dimensions: Annotated[Integer | None, Field(ge=1, le=_MAX_COUNT)] = None
    """Components of a vector, at most those of the model."""
    user: str | None = None
