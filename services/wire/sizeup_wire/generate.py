"""`POST /internal/v1/generate`: the request. Field semantics are vLLM's where vLLM has them."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from sizeup_wire.message import RequestModel

MAX_CHOICES = 16
"""Upper bound of `n`: each choice is a sequence of its own in the batch."""
MAX_STOP_STRINGS = 64
"""OpenAI allows 4; Ollama model files carry more. Matching is linear in this number."""
MAX_LOGPROBS = 20
"""OpenAI's and Ollama's upper bound of `top_logprobs`."""

Stop = Annotated[str, Field(min_length=1, max_length=1024)]


class Sampling(RequestModel):
    """Sampling parameters; `None` means "not said", and the next source of defaults decides."""

    temperature: float | None = Field(None, ge=0, le=100)
    """0 is greedy."""
    top_k: int | None = Field(None, ge=0)
    """0 keeps every token."""
    top_p: float | None = Field(None, gt=0, le=1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    """Multiplicative, over prompt and answer (CTRL, Hugging Face)."""
    presence_penalty: float | None = Field(None, ge=-10, le=10)
    """Additive, once per token present in the answer (OpenAI)."""
    frequency_penalty: float | None = Field(None, ge=-10, le=10)
    """Additive, per occurrence in the answer (OpenAI)."""
    repeat_last_n: int | None = Field(None, ge=-1)
    """Window of repetition_penalty in tokens; -1 is everything, 0 turns it off (Ollama)."""
    logit_bias: dict[int, Annotated[float, Field(ge=-100, le=100)]] | None = Field(
        None, max_length=1024
    )
    """Token id -> additive bias."""


ThinkingMode = Literal["on", "off", "if_supported"]
"""`on` is refused by a model without thinking, `if_supported` is ignored by it."""


class ChatMessage(RequestModel):
    """One turn, in the form chat templates take."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    thinking: str | None = None
    """Reasoning of an earlier assistant turn; most templates drop it."""
    tool_calls: tuple["ToolCallRequest", ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    """Tool name of a tool result."""


class ToolCallRequest(RequestModel):
    """A call an earlier assistant turn made."""

    id: str | None = None
    name: str
    arguments: dict[str, Any]


class _Prompt(RequestModel):
    kind: str

    @model_serializer(mode="wrap")
    def _with_kind(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say the kind although it is the default: it tells which prompt this is."""
        return {"kind": self.kind, **serialize(self)}


class ChatPrompt(_Prompt):
    """Messages to be rendered by the model's own chat template."""

    kind: Literal["chat"] = "chat"
    messages: tuple[ChatMessage, ...] = Field(min_length=1, max_length=4096)
    tools: tuple[dict[str, Any], ...] = ()
    """OpenAI function tools: {"type": "function", "function": {...}}."""
    thinking: ThinkingMode | None = None
    """None leaves it to the template."""
    continue_final: bool = False
    """Continue the last assistant message instead of opening a new turn."""
    prefix_token_ids: tuple[int, ...] = ()
    """Tokens put before the rendered text: Ollama's `context` of an earlier answer."""


class TextPrompt(_Prompt):
    """Text given to the tokenizer as it is, without a template."""

    kind: Literal["text"] = "text"
    text: str


class TokenPrompt(_Prompt):
    """Token ids given to the model as they are."""

    kind: Literal["tokens"] = "tokens"
    token_ids: tuple[int, ...] = Field(min_length=1)


class AutoPrompt(_Prompt):
    """One user turn where the model has a chat template, plain text where it has none.

    What Ollama's /api/generate means: only inference knows which of the two a model takes.
    """

    kind: Literal["auto"] = "auto"
    text: str
    system: str | None = None
    thinking: ThinkingMode | None = None
    prefix_token_ids: tuple[int, ...] = ()
    """As in ChatPrompt; refused for a model without a chat template."""


Prompt = Annotated[ChatPrompt | TextPrompt | TokenPrompt | AutoPrompt, Field(discriminator="kind")]


class GenerateRequest(RequestModel):
    """Everything inference needs to answer one request.

    A sampling value is taken from `sampling`, else from the model's generation_config.json,
    else from `fallback` (the dialect's own defaults), else it is neutral.
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
    """Choice i is drawn from seed + i; the same seed gives the same text whatever else runs."""
    n: int = Field(1, ge=1, le=MAX_CHOICES)
    logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    """None: no logprobs; 0: the chosen token's; k: the k likeliest as well."""
    echo: bool = False
    """The prompt comes back before the answer, in `prompt` events. With `logprobs` each of its
    tokens has its own, and so has each of the answer's, the end-of-sequence token included:
    evaluation suites ask for one token of answer and drop the last entry, whatever it is."""
    max_context: int | None = Field(None, ge=1)
    """Upper bound on prompt plus answer in tokens, below the model's own (Ollama's num_ctx)."""
    truncate: bool = False
    """Drop the oldest turns, keeping system messages and the last one, until the prompt fits."""
    return_context: bool = False
    """Put the token ids of prompt and answer in `finished` (Ollama's /api/generate)."""
    keep_alive_seconds: float | None = None
    """How long the model stays after its last answer; the latest request to say so decides. 0 is
    until it is idle, below 0 for ever, None leaves what was said before (Ollama's keep_alive)."""
