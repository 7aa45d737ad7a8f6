"""Prompts that cannot fit a model's context, refused or cut before they are sent to it. Pure."""

from typing import TypeVar

from sizeup_gateway.errors import UpstreamError
from sizeup_wire.embeddings import EmbedRequest
from sizeup_wire.errors import ErrorCode
from sizeup_wire.generate import AutoPrompt, ChatPrompt, GenerateRequest, Prompt, TokenPrompt
from sizeup_wire.long_prompts import (
    CharacterRuler,
    characters,
    cut,
    exceeds,
    has_long_tools,
    input_too_long,
    too_long,
)
from sizeup_wire.model import ModelInfo, TokenizeRequest

_RULER = CharacterRuler()
PromptT = TypeVar("PromptT", bound=Prompt)
RequestT = TypeVar("RequestT", GenerateRequest, EmbedRequest, TokenizeRequest)


def within_context(request: RequestT, info: ModelInfo | None) -> RequestT:
    """Return a request with what may fit of its prompts; raise UpstreamError where none does.

    A model whose longest token is unknown, because it has not been ready or is of an older release,
    is sent the request as it is.
    """
    if info is None or not info.longest_token:
        return request
    if isinstance(request, TokenizeRequest):
        _check(request.prompt, info.context_length, info)
        return request
    context = min(request.max_context or info.context_length, info.context_length)
    if isinstance(request, EmbedRequest):
        return _inputs_within(request, context, info)
    prompt = request.prompt
    if not request.truncate:
        _check(prompt, context - 1, info)
        return request
    fitting = _cut(_with_short_prefix(prompt, context), context - 1, info)
    return request if fitting is prompt else request.model_copy(update={"prompt": fitting})


def _inputs_within(request: EmbedRequest, limit: int, info: ModelInfo) -> EmbedRequest:
    if request.truncate:
        prompts = tuple(_cut(prompt, limit, info) for prompt in request.prompts)
        return request.model_copy(update={"prompts": prompts})
    for prompt in request.prompts:
        if _is_too_long(prompt, limit, info):
            tokens = len(prompt.token_ids) if isinstance(prompt, TokenPrompt) else None
            raise _error(input_too_long(limit, tokens), "prompts")
    return request


def _check(prompt: Prompt, limit: int, info: ModelInfo) -> None:
    if _is_too_long(prompt, limit, info):
        tokens = len(prompt.token_ids) if isinstance(prompt, TokenPrompt) else None
        raise _error(too_long(prompt, limit, tokens), "prompt")


def _is_too_long(prompt: Prompt, limit: int, info: ModelInfo) -> bool:
    if isinstance(prompt, TokenPrompt):
        return len(prompt.token_ids) > limit
    return exceeds(prompt, _RULER, characters(limit, info.longest_token))


def _cut(prompt: PromptT, limit: int, info: ModelInfo) -> PromptT:
    budget = characters(limit, info.longest_token)
    if not exceeds(prompt, _RULER, budget):
        return prompt
    if has_long_tools(prompt, _RULER, budget):
        raise _error(too_long(prompt, limit), "prompt.tools")
    return cut(prompt, _RULER, budget)


def _with_short_prefix(prompt: Prompt, context: int) -> Prompt:
    """Keep as many tokens in front of a prompt as make it too long: inference drops them all."""
    if not isinstance(prompt, AutoPrompt | ChatPrompt) or len(prompt.prefix_token_ids) <= context:
        return prompt
    kept = {"prefix_token_ids": prompt.prefix_token_ids[: context + 1]}
    return prompt.model_copy(update=kept)


def _error(message: str, param: str) -> UpstreamError:
    """Return the error that inference would respond with."""
    return UpstreamError(ErrorCode.CONTEXT_LENGTH_EXCEEDED, message, param)
