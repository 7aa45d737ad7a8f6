"""Defaults and validation: a wire request and a model make a resolved request. Pure.

Prompts are tokenized afterwards, by truncation.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sizeup_inference.engine.protocol import SamplingParams
from sizeup_inference.errors import InvalidRequestError, UnsupportedError
from sizeup_wire.generate import (
    AutoPrompt,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    InfillPrompt,
    Prompt,
    Sampling,
    TextPrompt,
    TokenPrompt,
)
from sizeup_wire.model import ModelInfo

_MIN_CONTEXT = 2
"""One token of prompt and one of output."""

_ROOM_SHARE = 4
"""A prompt that is cut leaves a quarter of the context. Ollama leaves nothing, and drops half of it
whenever output has filled the context."""

ModelPrompt = ChatPrompt | TextPrompt | TokenPrompt | InfillPrompt
"""A prompt after `resolve_prompt`: `thinking` is `on`, `off` or None."""


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A valid request with every default decided."""

    wire: GenerateRequest
    prompt: ModelPrompt
    context_length: int
    """Upper bound of prompt and output in tokens."""
    sampling: SamplingParams
    stop_token_ids: frozenset[int]
    """The request's and, unless ignored, the model's end-of-sequence tokens."""

    @property
    def wants_prompt_logprobs(self) -> bool:
        """Whether the log-probabilities of the prompt are requested."""
        return self.wire.echo and self.wire.logprobs is not None

    @property
    def room(self) -> int:
        """Output tokens that a prompt leaves when it is cut, beside the one that each leaves."""
        most = self.context_length // _ROOM_SHARE
        return most if self.wire.max_tokens is None else min(most, max(self.wire.max_tokens - 1, 0))

    def max_tokens(self, prompt_tokens: int) -> int:
        """Return the output tokens of each choice after a prompt of this length."""
        available = self.context_length - prompt_tokens
        return available if self.wire.max_tokens is None else min(available, self.wire.max_tokens)


def resolve(request: GenerateRequest, info: ModelInfo) -> ResolvedRequest:
    """Decide what the request leaves open.

    Raises UnsupportedError for what the model cannot do and InvalidRequestError for parameters and
    token ids that are out of range.
    """
    if "completion" not in info.capabilities:
        field = {"chat": "messages", "tokens": "token_ids"}.get(request.prompt.kind, "text")
        raise UnsupportedError(
            f"{info.id} is made for embeddings and does not generate", param=f"prompt.{field}"
        )
    check_token_ids(request.stop_token_ids, info, "stop_token_ids")
    for name in ("sampling", "fallback"):
        check_token_ids(getattr(request, name).logit_bias or {}, info, f"{name}.logit_bias")
    check_tools(request)
    ends = not request.ignore_eos or request.structured_output or request.tool_choice == "required"
    eos = info.eos_token_ids if ends else ()
    return ResolvedRequest(
        wire=request,
        prompt=resolve_prompt(request.prompt, info),
        context_length=_context_length(request, info),
        sampling=_sampling_params(request, info.sampling),
        stop_token_ids=frozenset((*request.stop_token_ids, *eos)),
    )


def resolve_prompt(prompt: Prompt, info: ModelInfo) -> ModelPrompt:
    """Decide what depends on the model's chat template and capabilities.

    Raises UnsupportedError and InvalidRequestError as `resolve` does, of token ids for as many as
    fit: of more, some are dropped.
    """
    if isinstance(prompt, AutoPrompt):
        prompt = _resolve_auto(prompt, has_template=bool(info.template))
    if isinstance(prompt, TokenPrompt):
        check_token_ids(prompt.token_ids[: info.context_length], info, "prompt.token_ids")
    if isinstance(prompt, InfillPrompt) and "insert" not in info.capabilities:
        raise UnsupportedError(f"{info.id} does not support insert", param="prompt.suffix")
    return _resolve_chat(prompt, info) if isinstance(prompt, ChatPrompt) else prompt


def check_tools(request: GenerateRequest) -> None:
    """Raise InvalidRequestError for a choice of tools that the prompt does not have."""
    tools = request.prompt.tools if isinstance(request.prompt, ChatPrompt) else ()
    if request.tool_choice == "required" and not tools:
        raise InvalidRequestError("tool_choice requires tools", param="tool_choice")
    if request.allowed_tools:
        names = {tool_name(tool) for tool in tools}
        if any(name not in names for name in request.allowed_tools):
            raise InvalidRequestError("allowed_tools names an unknown tool", param="allowed_tools")


def tool_name(tool: Mapping[str, Any]) -> str:
    """Return the name of a function tool; raise InvalidRequestError for one without."""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise InvalidRequestError("a tool requires a function with a name", param="prompt.tools")
    return name


def check_token_ids(token_ids: Iterable[int], info: ModelInfo, param: str) -> None:
    """Raise InvalidRequestError for an id without an embedding.

    A tokenizer may have more tokens than its model, and an index error fails the whole step.
    """
    invalid = next((i for i in token_ids if not 0 <= i < info.vocab_size), None)
    if invalid is not None:
        raise InvalidRequestError(
            f"token id {invalid} out of range (vocab size {info.vocab_size})", param=param
        )


def _resolve_auto(prompt: AutoPrompt, *, has_template: bool) -> ChatPrompt | TextPrompt:
    if has_template:
        system = [ChatMessage(role="system", content=prompt.system)] if prompt.system else []
        return ChatPrompt(
            messages=(*system, ChatMessage(role="user", content=prompt.text)),
            thinking=prompt.thinking,
            prefix_token_ids=prompt.prefix_token_ids,
        )
    if prompt.prefix_token_ids:
        raise InvalidRequestError(
            "context requires a model with a chat template", param="prompt.prefix_token_ids"
        )
    if prompt.thinking == "on":
        raise UnsupportedError("a base model does not support thinking", param="prompt.thinking")
    return TextPrompt(text="\n\n".join(part for part in (prompt.system, prompt.text) if part))


def _resolve_chat(prompt: ChatPrompt, info: ModelInfo) -> ChatPrompt:
    if not info.template:
        raise UnsupportedError(
            f"{info.id} is a base model without a chat template; use a plain prompt", param="prompt"
        )
    can_think = "thinking" in info.capabilities
    if prompt.thinking == "on" and not can_think:
        raise UnsupportedError(f"{info.id} does not support thinking", param="prompt.thinking")
    if prompt.tools and "tools" not in info.capabilities:
        raise UnsupportedError(f"{info.id} does not support tools", param="prompt.tools")
    if prompt.continue_final and prompt.messages[-1].role != "assistant":
        raise InvalidRequestError(
            "only an assistant message can be continued", param="prompt.continue_final"
        )
    prefix = prompt.prefix_token_ids[: info.context_length]
    check_token_ids(prefix, info, "prompt.prefix_token_ids")
    if prompt.thinking == "if_supported":
        return prompt.model_copy(update={"thinking": "on" if can_think else None})
    return prompt


def _context_length(request: GenerateRequest, info: ModelInfo) -> int:
    if request.max_context is None:
        return info.context_length
    if request.max_context < _MIN_CONTEXT:
        raise InvalidRequestError(
            f"max_context must be at least {_MIN_CONTEXT}", param="max_context"
        )
    return min(request.max_context, info.context_length)


def _sampling_params(request: GenerateRequest, model: Sampling) -> SamplingParams:
    """Take each value from the request, else the model, else the dialect, else the neutral one."""
    values: dict[str, object] = {}
    for source in (request.fallback, model, request.sampling):
        values |= {
            name: value
            for name in Sampling.model_fields
            if (value := getattr(source, name)) is not None
        }
    return SamplingParams(
        **values,  # type: ignore[arg-type]  # both have the same fields, which a test verifies
        seed=request.seed,
        logprobs=request.logprobs,
    )
