"""`POST /internal/v1/generate`: the request. Field semantics are vLLM's where vLLM has them."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from sizeup_wire.message import RequestModel

MAX_CHOICES = 16
"""Upper bound of `n`: each choice is a separate sequence in the batch."""
MAX_MESSAGES = 4096
"""Of a chat prompt."""
MAX_STOP_STRINGS = 64
"""OpenAI allows 4; Ollama model files carry more. Matching is linear in this number."""
MAX_PATTERN_CHARACTERS = 8192
"""Of a regular expression for the output, or of one of several texts; usual ones are shorter."""
MAX_OUTPUT_CHOICES = 1024
"""Texts that an output may be one of."""
MAX_LOGPROBS = 20
"""OpenAI's and Ollama's upper bound of `top_logprobs`."""

Stop = Annotated[str, Field(min_length=1, max_length=1024)]


class Sampling(RequestModel):
    """Sampling parameters; None leaves a value to the next source of defaults."""

    temperature: float | None = Field(None, ge=0, le=100)
    """0 is greedy."""
    top_k: int | None = Field(None, ge=0)
    """0 keeps every token."""
    top_p: float | None = Field(None, gt=0, le=1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    """Multiplicative, over prompt and output (CTRL, Hugging Face)."""
    presence_penalty: float | None = Field(None, ge=-10, le=10)
    """Additive, once per token present in the output (OpenAI)."""
    frequency_penalty: float | None = Field(None, ge=-10, le=10)
    """Additive, per occurrence in the output (OpenAI)."""
    repeat_last_n: int | None = Field(None, ge=-1)
    """Window of repetition_penalty in tokens; -1 is everything, 0 turns it off (Ollama)."""
    logit_bias: dict[int, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, max_length=1024
    )
    """Token id -> additive bias."""


class _Kind(RequestModel):
    """A member of a union with `kind` as its discriminator."""

    kind: str

    @model_serializer(mode="wrap")
    def _with_kind(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Serialize the discriminator although it is at its default."""
        return {"kind": self.kind, **serialize(self)}


OutputText = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARACTERS)]


class JsonObjectOutput(_Kind):
    """Any JSON object."""

    kind: Literal["json_object"] = "json_object"


class JsonSchemaOutput(_Kind):
    """A JSON value that is valid by a schema."""

    kind: Literal["json_schema"] = "json_schema"
    json_schema: dict[str, Any] | bool
    strict: bool = False
    """Reject a schema with keywords that cannot be enforced; else they are ignored."""


class RegexOutput(_Kind):
    """Text that a regular expression matches as a whole (vLLM's `regex`)."""

    kind: Literal["regex"] = "regex"
    pattern: OutputText


class ChoiceOutput(_Kind):
    """One of several texts (vLLM's `choice`)."""

    kind: Literal["choice"] = "choice"
    choices: tuple[OutputText, ...] = Field(min_length=1, max_length=MAX_OUTPUT_CHOICES)


StructuredOutput = Annotated[
    JsonObjectOutput | JsonSchemaOutput | RegexOutput | ChoiceOutput, Field(discriminator="kind")
]


ThinkingMode = Literal["on", "off", "if_supported"]
"""`on` is rejected by a model without thinking, `if_supported` is ignored by it."""


class ChatMessage(RequestModel):
    """One message, in the form chat templates take."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    thinking: str | None = None
    """Reasoning of an earlier assistant turn; most templates drop it."""
    tool_calls: tuple["ToolCallRequest", ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    """Tool name of a tool result."""


class ToolCallRequest(RequestModel):
    """A tool call of an earlier assistant message."""

    id: str | None = None
    name: str
    arguments: dict[str, Any]
    arguments_text: str | None = None
    """In place of `arguments`, which is then empty: what the model wrote if no JSON object."""


class ChatPrompt(_Kind):
    """Messages for the model's own chat template."""

    kind: Literal["chat"] = "chat"
    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=MAX_MESSAGES)
    tools: tuple[dict[str, Any], ...] = ()
    """OpenAI function tools: {"type": "function", "function": {...}}."""
    thinking: ThinkingMode | None = None
    """None leaves it to the template."""
    continue_final: bool = False
    """Continue the last assistant message instead of opening a new turn."""
    prefix_token_ids: tuple[int, ...] = ()
    """Tokens prepended to the rendered text: Ollama's `context` of an earlier response."""


class TextPrompt(_Kind):
    """Text for the tokenizer, without a chat template."""

    kind: Literal["text"] = "text"
    text: str


class TokenPrompt(_Kind):
    """Token ids for the model."""

    kind: Literal["tokens"] = "tokens"
    token_ids: tuple[int, ...] = Field(min_length=1)


class AutoPrompt(_Kind):
    """One user turn where the model has a chat template, plain text where it has none.

    Ollama's /api/generate has this form; only inference knows whether the model has a template.
    """

    kind: Literal["auto"] = "auto"
    text: str
    system: str | None = None
    thinking: ThinkingMode | None = None
    prefix_token_ids: tuple[int, ...] = ()
    """As in ChatPrompt; rejected for a model without a chat template."""


class InfillPrompt(_Kind):
    """The texts before and after a gap, for a model whose tokenizer has tokens for it."""

    kind: Literal["infill"] = "infill"
    prefix: str
    suffix: str


Prompt = Annotated[
    ChatPrompt | TextPrompt | TokenPrompt | AutoPrompt | InfillPrompt, Field(discriminator="kind")
]


class GenerateRequest(RequestModel):
    """One generation request.

    A sampling value comes from `sampling`, else from the model's generation_config.json, else from
    `fallback` (the dialect's defaults), else it is neutral.
    """

    prompt: Prompt
    sampling: Sampling = Sampling()
    fallback: Sampling = Sampling()
    max_tokens: int | None = Field(None, ge=0)
    """Tokens to generate per choice; None means until stop or the end of the context."""
    min_tokens: int = Field(0, ge=0)
    """Stop conditions other than max_tokens are ignored before this many tokens."""
    stop: tuple[Stop, ...] = Field((), max_length=MAX_STOP_STRINGS)
    stop_token_ids: tuple[int, ...] = Field((), max_length=MAX_STOP_STRINGS)
    ignore_eos: bool = False
    seed: int | None = Field(None, ge=0, lt=2**63)
    """Choice i is sampled with seed + i; the result does not depend on the rest of the batch."""
    n: int = Field(1, ge=1, le=MAX_CHOICES)
    logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    """None: no logprobs; 0: of the sampled token; k: also of the k most likely tokens."""
    echo: bool = False
    """Return the prompt before the output, in `prompt` events. With `logprobs`, every token of both
    has its log-probability, the end-of-sequence token included: evaluation suites request one token
    and drop the last entry."""
    max_context: int | None = Field(None, ge=1)
    """Maximum tokens of prompt and output together, below the model's own (Ollama's num_ctx)."""
    truncate: bool = False
    """Drop the oldest messages, except system messages and the last one, until the prompt fits."""
    num_keep: int | None = Field(None, ge=0)
    """First tokens of a prompt that are kept when tokens are dropped as well; None: 4 (Ollama)."""
    return_context: bool = False
    """Return the token ids of prompt and output in `finished` (Ollama's /api/generate)."""
    cache_salt: str | None = Field(None, min_length=1, max_length=128)
    """Requests share the prefix cache with requests of an equal salt only (vLLM)."""
    client: str | None = Field(None, min_length=1, max_length=128)
    """Whose request it is; capacity is shared fairly between clients."""
    structured_output: StructuredOutput | None = None
    """What the output may be, after any reasoning. The end-of-sequence token is allowed where the
    output is complete, and nowhere else: `ignore_eos` and `min_tokens` have no effect."""
    tool_choice: Literal["auto", "required"] = "auto"
    """Whether at least one of a chat prompt's tools has to be called."""
    allowed_tools: tuple[str, ...] = Field((), max_length=1024)
    """Names of the tools that may be called; empty means all of the prompt's."""
    parallel_tool_calls: bool = True
    """False ends the output after its first tool call."""
    stream_tool_calls: bool = False
    """Stream a call's arguments as they are generated, before its `tool_call` event."""
    keep_alive_seconds: float | None = None
    """How long the model stays loaded after its last use; the latest request that sets it wins.
    0 unloads when idle, negative keeps it forever, None keeps the current value (Ollama's
    keep_alive)."""
