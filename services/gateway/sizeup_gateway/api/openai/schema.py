"""Request bodies of OpenAI's API, with extensions of vLLM, llama.cpp and Ollama."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from sizeup_gateway.api.openai.output_schema import (
    FunctionCallField,
    Grammar,
    JsonSchema,
    ResponseFormat,
    StructuredOutputs,
    Texts,
    ToolChoiceField,
)
from sizeup_gateway.api.request_body import RequestBody, parse_json
from sizeup_gateway.api.request_fields import CONTEXT_SIZE, MAX_TOOLS, Function, Stop, Suffix, Tools
from sizeup_wire.embeddings import MAX_INPUTS
from sizeup_wire.generate import MAX_CHOICES, MAX_LOGPROBS, MAX_STOP_STRINGS, OutputText

MAX_PROMPTS = 128
"""Prompts of a /v1/completions request; evaluation harnesses send batches of up to 64."""

_MAX_COUNT = 2**31 - 1
_MAX_LOGIT_BIAS = 1024
_TEXT_PARTS = {"text": "text", "refusal": "refusal"}


def _text_of(value: object) -> object:
    """Join the text parts of a content list; reject parts of other types."""
    if not isinstance(value, list):
        return value
    return "".join(_part_text(part) for part in value)


def _part_text(part: object) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str):
        raise ValueError("a content part must be an object with a type")  # noqa: TRY004
    if kind not in _TEXT_PARTS:
        raise ValueError(f"content parts of type {kind[:32]!r} are not supported by this server")
    text = part.get(_TEXT_PARTS[kind])
    if not isinstance(text, str):
        raise ValueError(f"the content part has no {_TEXT_PARTS[kind]}")  # noqa: TRY004
    return text


def _arguments(value: object) -> object:
    """Parse the JSON string with the arguments of a call; some clients send "" for none."""
    if not isinstance(value, str):
        raise ValueError("arguments must be a string with a JSON object")  # noqa: TRY004
    try:
        parsed = parse_json(value.encode() or b"{}")
    except ValueError as error:
        raise ValueError(f"arguments must be a string with a JSON object: {error}") from None
    if not isinstance(parsed, dict):
        raise ValueError("arguments must be a string with a JSON object")  # noqa: TRY004
    return parsed


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


Count = Annotated[int | None, Field(ge=0, le=_MAX_COUNT)]
TokenId = Annotated[int, Field(ge=0, le=_MAX_COUNT)]
Penalty = Annotated[float | None, Field(ge=-2, le=2)]
Bias = Annotated[float, Field(ge=-100, le=100)]
LogitBias = Annotated[
    dict[int, Bias], BeforeValidator(_token_ids), Field(max_length=_MAX_LOGIT_BIAS)
]


class StreamOptions(RequestBody):
    """Additional content of a stream."""

    include_usage: bool | None = None


class ContextOptions(RequestBody):
    """Those of Ollama's options that OpenAI's API lacks."""

    num_ctx: Annotated[Count, CONTEXT_SIZE] = None
    """In tokens; 0: the model's own."""


class TemplateOptions(RequestBody):
    """Qwen's switch, as in vLLM; other template arguments are ignored."""

    enable_thinking: bool | None = None


class SamplingRequest(RequestBody):
    """Fields of both completion routes."""

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    top_k: Annotated[int | None, AfterValidator(_top_k)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None
    repetition_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    repeat_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    """llama.cpp's and Ollama's name of repetition_penalty."""
    logit_bias: LogitBias | None = None
    seed: Annotated[int | None, Field(ge=-(2**63), lt=2**64)] = None
    n: Annotated[int | None, Field(ge=1, le=MAX_CHOICES)] = None
    max_tokens: Count = None
    min_tokens: Count = None
    stop: Stop | None = None
    stop_token_ids: Annotated[list[TokenId], Field(max_length=MAX_STOP_STRINGS)] | None = None
    ignore_eos: bool | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: JsonSchema | None = None
    """vLLM's former name of structured_outputs.json, like the other two."""
    guided_regex: OutputText | None = None
    guided_choice: Texts | None = None
    guided_grammar: Grammar = None
    options: ContextOptions | None = None


class FunctionCallParam(RequestBody):
    """The function of an earlier tool call."""

    name: str
    arguments: Annotated[dict[str, Any], BeforeValidator(_arguments)]


class ToolCallParam(RequestBody):
    """An earlier tool call from the model."""

    id: str | None = None
    function: FunctionCallParam


class ChatCompletionMessageParam(RequestBody):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[
        str | None,
        BeforeValidator(_text_of, json_schema_input_type=str | list[dict[str, Any]] | None),
    ] = None
    """Optional only with tool calls."""
    reasoning_content: str | None = None
    name: str | None = None
    tool_calls: list[ToolCallParam] | None = None
    tool_call_id: str | None = None


class ChatCompletionRequest(SamplingRequest):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[ChatCompletionMessageParam], Field(min_length=1, max_length=4096)]
    max_completion_tokens: Count = None
    """Newer name of max_tokens; takes precedence over it."""
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=MAX_LOGPROBS)] = None
    tools: Tools | None = None
    tool_choice: ToolChoiceField = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[Function], Field(max_length=MAX_TOOLS)] | None = None
    """Predecessor of tools, like function_call of tool_choice."""
    function_call: FunctionCallField = None
    reasoning_effort: str | None = None
    think: bool | None = None
    chat_template_kwargs: TemplateOptions | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None


Tokens = Annotated[list[TokenId], Field(min_length=1)]


def _prompts(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """Normalize the four forms of a prompt to a list of texts or of token lists."""
    try:
        return validate(_listed(value))
    except ValidationError:  # pydantic would report only the form that it tried first
        forms = f"a string, a list of token ids, or a list of at most {MAX_PROMPTS} of either"
        raise ValueError(f"must be {forms}; no list may be empty") from None


def _inputs(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """Normalize the four forms of an input like those of a prompt."""
    try:
        return validate(_listed(value))
    except ValidationError:
        forms = f"a string, a list of token ids, or a list of at most {MAX_INPUTS} of either"
        raise ValueError(f"must be {forms}; no string and no list may be empty") from None


def _listed(value: object) -> object:
    single = isinstance(value, list) and value and not isinstance(value[0], str | list)
    return [value] if single or isinstance(value, str) else value


class CompletionRequest(SamplingRequest):
    """`POST /v1/completions`."""

    prompt: Annotated[
        list[str] | list[Tokens],
        Field(min_length=1, max_length=MAX_PROMPTS),
        WrapValidator(_prompts, json_schema_input_type=str | list[str] | Tokens | list[Tokens]),
    ]
    best_of: int | None = None
    echo: bool | None = None
    suffix: Suffix = None
    logprobs: Annotated[int | None, Field(ge=0, le=5)] = None


class CreateEmbeddingRequest(RequestBody):
    """`POST /v1/embeddings`."""

    model: str | None = None
    input: Annotated[
        list[Annotated[str, Field(min_length=1)]] | list[Tokens],
        Field(min_length=1, max_length=MAX_INPUTS),
        WrapValidator(_inputs, json_schema_input_type=str | list[str] | Tokens | list[Tokens]),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    """base64 is of float32, little-endian."""
    dimensions: Annotated[int | None, Field(ge=1, le=_MAX_COUNT)] = None
    """Components of a vector, at most those of the model."""
    user: str | None = None
