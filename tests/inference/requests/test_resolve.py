import dataclasses
from typing import Any

import pytest

from inference.models import INFO, model_info
from sizeup_inference.engine.protocol import SamplingParams
from sizeup_inference.errors import InferenceError, InvalidRequestError, UnsupportedError
from sizeup_inference.requests.resolve import (
    answer_tokens,
    check_token_parameters,
    context_of,
    resolve_prompt,
    resolve_sampling,
    to_engine_request,
)
from sizeup_wire.generate import (
    AutoPrompt,
    ChatPrompt,
    GenerateRequest,
    Sampling,
    TextPrompt,
    ThinkingMode,
)


def request(**fields: Any) -> GenerateRequest:
    return GenerateRequest.model_validate({"prompt": {"kind": "text", "text": "hi"}} | fields)


def chat(**fields: Any) -> GenerateRequest:
    prompt = {"kind": "chat", "messages": [{"role": "user", "content": "hi"}]}
    return GenerateRequest.model_validate({"prompt": prompt | fields})


def test_every_wire_value_has_a_place_in_the_engine() -> None:
    engine = {field.name for field in dataclasses.fields(SamplingParams)}
    assert set(Sampling.model_fields) | {"seed", "logprobs"} == engine


def test_the_request_wins_over_the_model_over_the_dialect() -> None:
    asked = request(
        sampling={"temperature": 0.0},
        fallback={"temperature": 0.8, "top_k": 40, "min_p": 0.1},
        seed=7,
        logprobs=2,
    )
    resolved = resolve_sampling(asked, Sampling(temperature=0.7, top_k=20, top_p=0.8))
    assert resolved == SamplingParams(
        temperature=0.0, top_k=20, top_p=0.8, min_p=0.1, seed=7, logprobs=2
    )


def test_what_nobody_says_is_neutral() -> None:
    assert resolve_sampling(request(), Sampling()) == SamplingParams()


def test_the_context_is_the_smaller_one() -> None:
    assert context_of(request(), model_info(context_length=100)) == 100
    assert context_of(request(max_context=50), model_info(context_length=100)) == 50
    assert context_of(request(max_context=500), model_info(context_length=100)) == 100


def test_a_context_without_room_for_an_answer_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        context_of(request(max_context=1), INFO)
    assert context_of(request(max_context=2), INFO) == 2


@pytest.mark.parametrize(("asked", "expected"), [(None, 30), (10, 10), (99, 30), (0, 0)])
def test_the_answer_gets_what_the_prompt_leaves(asked: int | None, expected: int) -> None:
    assert answer_tokens(request(max_tokens=asked), 100, 70) == expected


def test_end_tokens_stop_unless_they_are_ignored() -> None:
    info = model_info(eos_token_ids=(1, 2))
    asked = to_engine_request("r", request(stop_token_ids=[5]), info, (3,), 4)
    assert asked.stop_token_ids == {1, 2, 5}
    ignoring = to_engine_request(
        "r", request(stop_token_ids=[5], ignore_eos=True, n=2, min_tokens=1), info, (3,), 4
    )
    assert ignoring.stop_token_ids == {5}
    assert (ignoring.choices, ignoring.min_tokens, ignoring.max_tokens) == (2, 1, 4)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"echo": True, "logprobs": 3}, 3),
        ({"echo": True, "logprobs": 0}, 0),
        ({"echo": True}, None),
        ({"logprobs": 3}, None),
    ],
)
def test_a_prompt_is_told_where_echo_and_logprobs_are_asked_for(
    fields: dict[str, Any], expected: int | None
) -> None:
    assert to_engine_request("r", request(**fields), INFO, (3,), 4).prompt_logprobs == expected


def test_a_prompt_alone_takes_one_token_of_one_choice() -> None:
    asked = to_engine_request("r", request(echo=True, logprobs=1, n=4), INFO, (3,), 0)
    assert (asked.max_tokens, asked.choices) == (1, 1)


@pytest.mark.parametrize(
    ("asked", "changes", "error", "param"),
    [
        (chat(), {"template": ""}, UnsupportedError, "prompt"),
        (chat(thinking="on"), {}, UnsupportedError, "prompt.thinking"),
        (
            chat(tools=[{"type": "function"}]),
            {"capabilities": ("completion",)},
            UnsupportedError,
            "prompt.tools",
        ),
        (chat(continue_final=True), {}, InvalidRequestError, "prompt.continue_final"),
        (chat(prefix_token_ids=[259]), {}, InvalidRequestError, "prompt.prefix_token_ids"),
    ],
)
def test_what_the_model_cannot_do_is_named(
    asked: GenerateRequest, changes: dict[str, Any], error: type[InferenceError], param: str
) -> None:
    with pytest.raises(error) as caught:
        resolve_prompt(asked.prompt, model_info(**changes))
    assert caught.value.param == param


def test_not_thinking_can_be_asked_of_any_model() -> None:
    resolve_prompt(chat(thinking="off").prompt, INFO)


@pytest.mark.parametrize(
    "fields",
    [
        {"stop_token_ids": [259]},
        {"sampling": {"logit_bias": {259: 1.0}}},
        {"fallback": {"logit_bias": {-1: 1.0}}},
    ],
)
def test_tokens_outside_the_vocabulary_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="no token"):
        check_token_parameters(request(**fields), INFO)


def test_the_first_and_the_last_token_are_of_the_vocabulary() -> None:
    check_token_parameters(request(stop_token_ids=[0, INFO.vocab_size - 1]), INFO)


def auto(**fields: Any) -> AutoPrompt:
    return AutoPrompt.model_validate({"text": "hi"} | fields)


def test_an_auto_prompt_is_a_chat_turn_where_the_model_has_a_template() -> None:
    prompt = resolve_prompt(auto(system="be brief", prefix_token_ids=[1, 2]), model_info())
    assert isinstance(prompt, ChatPrompt)
    assert [(m.role, m.content) for m in prompt.messages] == [
        ("system", "be brief"),
        ("user", "hi"),
    ]
    assert prompt.prefix_token_ids == (1, 2)


def test_an_auto_prompt_is_plain_text_for_a_base_model() -> None:
    assert resolve_prompt(auto(system="be brief"), model_info(template="")) == TextPrompt(
        text="be brief\n\nhi"
    )


@pytest.mark.parametrize(
    ("fields", "error", "param"),
    [
        ({"prefix_token_ids": [1]}, InvalidRequestError, "prompt.prefix_token_ids"),
        ({"thinking": "on"}, UnsupportedError, "prompt.thinking"),
    ],
)
def test_an_auto_prompt_a_base_model_cannot_take_is_refused(
    fields: dict[str, Any], error: type[InferenceError], param: str
) -> None:
    with pytest.raises(error) as caught:
        resolve_prompt(auto(**fields), model_info(template=""))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("capabilities", "mode"), [(("completion", "thinking"), "on"), (("completion",), None)]
)
def test_thinking_if_supported_depends_on_the_model(
    capabilities: tuple[str, ...], mode: ThinkingMode | None
) -> None:
    prompt = resolve_prompt(
        chat(thinking="if_supported").prompt, model_info(capabilities=capabilities)
    )
    assert isinstance(prompt, ChatPrompt)
    assert prompt.thinking == mode
