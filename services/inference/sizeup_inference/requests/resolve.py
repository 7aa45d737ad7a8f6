"""From a wire request to an engine request: which default wins, what fits, what is refused. Pure.

Nothing here tokenises; `fit.py` makes the prompt.
"""

from collections.abc import Iterable

from sizeup_inference.engine.protocol import EngineRequest, SamplingParams
from sizeup_inference.errors import ContextLengthError, InvalidRequestError, UnsupportedError
from sizeup_wire.generate import (
    AutoPrompt,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    Prompt,
    Sampling,
    TextPrompt,
    TokenPrompt,
)
from sizeup_wire.model import ModelInfo

_SMALLEST_CONTEXT = 2
"""One token of prompt and one of answer."""


ModelPrompt = ChatPrompt | TextPrompt | TokenPrompt
"""A prompt after `resolve_prompt`: `thinking` is `on`, `off` or None."""


def resolve_prompt(prompt: Prompt, info: ModelInfo) -> ModelPrompt:
    """Decide what the model's template and capabilities leave open.

    Raises UnsupportedError for what the model cannot do and InvalidRequestError for token ids
    outside its vocabulary.
    """
    if isinstance(prompt, AutoPrompt):
        prompt = _from_auto(prompt, has_template=bool(info.template))
    if isinstance(prompt, TokenPrompt):
        _check_ids(prompt.token_ids, info.vocab_size, "prompt.token_ids")
    return _resolve_chat(prompt, info) if isinstance(prompt, ChatPrompt) else prompt


def _from_auto(prompt: AutoPrompt, *, has_template: bool) -> ChatPrompt | TextPrompt:
    if has_template:
        turns = [ChatMessage(role="system", content=prompt.system)] if prompt.system else []
        return ChatPrompt(
            messages=(*turns, ChatMessage(role="user", content=prompt.text)),
            thinking=prompt.thinking,
            prefix_token_ids=prompt.prefix_token_ids,
        )
    if prompt.prefix_token_ids:
        raise InvalidRequestError(
            "context needs a model with a chat template", param="prompt.prefix_token_ids"
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
    _check_ids(prompt.prefix_token_ids, info.vocab_size, "prompt.prefix_token_ids")
    if prompt.thinking == "if_supported":
        return prompt.model_copy(update={"thinking": "on" if can_think else None})
    return prompt


def check_token_parameters(request: GenerateRequest, info: ModelInfo) -> None:
    """Raise for stop tokens and biases outside the vocabulary."""
    _check_ids(request.stop_token_ids, info.vocab_size, "stop_token_ids")
    for name in ("sampling", "fallback"):
        bias = getattr(request, name).logit_bias or {}
        _check_ids(bias, info.vocab_size, f"{name}.logit_bias")


def check_prompt_ids(token_ids: Iterable[int], info: ModelInfo) -> None:
    """Raise for an encoded prompt with ids the model has no embedding for.

    A tokenizer may know more tokens than its model, and an index error fails the whole step.
    """
    _check_ids(token_ids, info.vocab_size, "prompt")


def context_of(request: GenerateRequest, info: ModelInfo) -> int:
    """Return the tokens that prompt and answer may have together."""
    if request.max_context is None:
        return info.context_length
    if request.max_context < _SMALLEST_CONTEXT:
        raise InvalidRequestError(
            f"max_context must be at least {_SMALLEST_CONTEXT}", param="max_context"
        )
    return min(request.max_context, info.context_length)


def answer_tokens(request: GenerateRequest, context: int, prompt_tokens: int) -> int:
    """Return how many tokens each choice may have; 0 when none was asked for."""
    room = context - prompt_tokens
    return room if request.max_tokens is None else min(room, request.max_tokens)


def too_long(prompt_tokens: int, limit: int) -> ContextLengthError:
    """Say that a prompt does not fit, with the numbers."""
    return ContextLengthError(
        f"the prompt has {prompt_tokens} tokens, and at most {limit} fit", param="prompt"
    )


def resolve_sampling(request: GenerateRequest, defaults: Sampling) -> SamplingParams:
    """Take each value from the request, else the model, else the dialect, else leave it neutral."""
    chosen: dict[str, object] = {}
    for source in (request.fallback, defaults, request.sampling):
        chosen |= {
            name: value
            for name in Sampling.model_fields
            if (value := getattr(source, name)) is not None
        }
    return SamplingParams(
        **chosen,  # type: ignore[arg-type]  # the two classes have the same fields; a test holds it
        seed=request.seed,
        logprobs=request.logprobs,
    )


def to_engine_request(
    request_id: str,
    request: GenerateRequest,
    info: ModelInfo,
    token_ids: tuple[int, ...],
    max_tokens: int,
) -> EngineRequest:
    """Put everything together.

    With max_tokens 0 only the prompt is asked about: one token is made, which costs nothing beside
    it and is not shown.
    """
    end = () if request.ignore_eos else info.eos_token_ids
    return EngineRequest(
        id=request_id,
        prompt_ids=token_ids,
        sampling=resolve_sampling(request, info.sampling),
        max_tokens=max(max_tokens, 1),
        min_tokens=request.min_tokens,
        stop_token_ids=frozenset(request.stop_token_ids) | frozenset(end),
        choices=request.n if max_tokens else 1,
        prompt_logprobs=request.logprobs if request.echo else None,
    )


def _check_ids(token_ids: Iterable[int], vocab_size: int, param: str) -> None:
    wrong = next((i for i in token_ids if not 0 <= i < vocab_size), None)
    if wrong is not None:
        raise InvalidRequestError(f"the vocabulary has no token {wrong}", param=param)
