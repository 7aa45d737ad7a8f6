"""Prompts that the gateway refuses or cuts before it sends them."""

import pytest

from gateway.fake_inference import model_info
from sizeup_gateway.errors import UpstreamError
from sizeup_gateway.routing.prompt_limits import within_context
from sizeup_wire.embeddings import EmbedRequest
from sizeup_wire.errors import ErrorCode
from sizeup_wire.generate import (
    AutoPrompt,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    Prompt,
    TextPrompt,
    TokenPrompt,
)
from sizeup_wire.model import ModelInfo, TokenizeRequest

INFO = model_info()
MODEL = INFO.model_copy(update={"context_length": 11, "longest_token": 3})
MOST = 10 * 3 * 2
"""Characters of 10 tokens, beside one of output."""


def text(length: int) -> TextPrompt:
    return TextPrompt(text="x" * length)


def chat(*lengths: int) -> ChatPrompt:
    messages = (ChatMessage(role="user", content="x" * length) for length in lengths)
    return ChatPrompt(messages=tuple(messages))


@pytest.mark.parametrize(
    "prompt",
    [text(MOST), chat(MOST), chat(MOST // 2, MOST // 2), TokenPrompt(token_ids=(1,) * 10)],
)
def test_a_prompt_that_may_fit_is_sent_as_it_is(prompt: Prompt) -> None:
    for truncate in (True, False):
        request = GenerateRequest(prompt=prompt, truncate=truncate)
        assert within_context(request, MODEL) is request
    tokenize = TokenizeRequest(prompt=prompt)
    assert within_context(tokenize, MODEL) is tokenize


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (text(MOST + 1), "more than 10 tokens"),
        (chat(MOST, 1), "more than 10 tokens"),
        (TokenPrompt(token_ids=(1,) * 12), "in 12 tokens"),
    ],
)
def test_a_prompt_that_cannot_fit_is_refused(prompt: Prompt, told: str) -> None:
    with pytest.raises(UpstreamError, match=told) as error:
        within_context(GenerateRequest(prompt=prompt), MODEL)
    assert error.value.code is ErrorCode.CONTEXT_LENGTH_EXCEEDED
    assert error.value.param == "prompt"


def test_the_context_of_the_request_counts() -> None:
    request = GenerateRequest(prompt=text(MOST), max_context=10)
    with pytest.raises(UpstreamError, match="maximum context length is 10"):
        within_context(request, MODEL)
    larger = GenerateRequest(prompt=text(MOST), max_context=100)
    assert within_context(larger, MODEL) is larger


def test_a_prompt_that_is_truncated_is_cut() -> None:
    cut = within_context(GenerateRequest(prompt=text(10 * MOST), truncate=True), MODEL)
    assert cut.prompt == text(2 * MOST)
    turns = within_context(GenerateRequest(prompt=chat(MOST, 999, 5), truncate=True), MODEL)
    assert turns.prompt == chat(MOST, 5)


def test_tools_that_cannot_fit_are_refused_in_any_case() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "x" * MOST}}
    prompt = chat(1).model_copy(update={"tools": (tool,)})
    with pytest.raises(UpstreamError) as error:
        within_context(GenerateRequest(prompt=prompt, truncate=True), MODEL)
    assert error.value.param == "prompt.tools"


def test_a_prefix_that_is_too_long_stays_too_long() -> None:
    prompt = AutoPrompt(text="x", prefix_token_ids=(1,) * 1000)
    cut = within_context(GenerateRequest(prompt=prompt, truncate=True), MODEL).prompt
    assert isinstance(cut, AutoPrompt)
    assert cut.prefix_token_ids == (1,) * 12


def test_inputs_to_embed_are_cut_or_refused() -> None:
    inputs = (text(5), text(11 * 3 * 2 + 1))
    with pytest.raises(UpstreamError, match="maximum context length is 11") as error:
        within_context(EmbedRequest(prompts=inputs, truncate=False), MODEL)
    assert error.value.param == "prompts"
    long = EmbedRequest(prompts=(text(5), text(1000)), truncate=True)
    assert within_context(long, MODEL).prompts == (text(5), text(2 * 66))


@pytest.mark.parametrize("info", [None, INFO.model_copy(update={"longest_token": 0})])
def test_a_model_of_unknown_tokens_is_sent_everything(info: ModelInfo | None) -> None:
    request = GenerateRequest(prompt=text(10**6))
    assert within_context(request, info) is request
