import dataclasses
from typing import Any

import pytest

from inference.models import INFO, model_info
from sizeup_inference.engine.protocol import SamplingParams
from sizeup_inference.errors import InferenceError, InvalidRequestError, UnsupportedError
from sizeup_inference.requests.resolve import (
    resolve,
    resolve_prompt,
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


def test_every_sampling_field_exists_in_the_engine() -> None:
    engine = {field.name for field in dataclasses.fields(SamplingParams)}
    assert set(Sampling.model_fields) | {"seed", "logprobs"} == engine


def test_request_values_override_the_models_and_those_the_dialects() -> None:
    wire = request(
        sampling={"temperature": 0.0},
        fallback={"temperature": 0.8, "top_k": 40, "min_p": 0.1},
        seed=7,
        logprobs=2,
    )
    info = model_info(sampling=Sampling(temperature=0.7, top_k=20, top_p=0.8))
    assert resolve(wire, info).sampling == SamplingParams(
        temperature=0.0, top_k=20, top_p=0.8, min_p=0.1, seed=7, logprobs=2
    )


def test_unset_values_are_neutral() -> None:
    assert resolve(request(), INFO).sampling == SamplingParams()


@pytest.mark.parametrize(("max_context", "expected"), [(None, 100), (50, 50), (500, 100), (2, 2)])
def test_the_context_is_the_smaller_of_request_and_model(
    max_context: int | None, expected: int
) -> None:
    resolved = resolve(request(max_context=max_context), model_info(context_length=100))
    assert resolved.context_length == expected


def test_a_context_without_room_for_output_is_rejected() -> None:
    with pytest.raises(InvalidRequestError):
        resolve(request(max_context=1), INFO)


@pytest.mark.parametrize(("requested", "expected"), [(None, 30), (10, 10), (99, 30), (0, 0)])
def test_output_is_limited_by_what_the_prompt_leaves(requested: int | None, expected: int) -> None:
    resolved = resolve(request(max_tokens=requested), model_info(context_length=100))
    assert resolved.max_tokens(70) == expected


@pytest.mark.parametrize(("requested", "room"), [(None, 25), (10, 9), (99, 25), (1, 0), (0, 0)])
def test_a_prompt_that_is_cut_leaves_a_quarter_of_the_context(
    requested: int | None, room: int
) -> None:
    resolved = resolve(request(max_tokens=requested), model_info(context_length=100))
    assert resolved.room == room


def test_eos_tokens_stop_unless_ignored() -> None:
    info = model_info(eos_token_ids=(1, 2))
    assert resolve(request(stop_token_ids=[5]), info).stop_token_ids == {1, 2, 5}
    ignoring = resolve(request(stop_token_ids=[5], ignore_eos=True), info)
    assert ignoring.stop_token_ids == {5}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"echo": True, "logprobs": 3}, True),
        ({"echo": True, "logprobs": 0}, True),
        ({"echo": True}, False),
        ({"logprobs": 3}, False),
    ],
)
def test_prompt_logprobs_need_echo_and_logprobs(fields: dict[str, Any], expected: bool) -> None:
    assert resolve(request(**fields), INFO).wants_prompt_logprobs == expected


@pytest.mark.parametrize(
    ("wire", "changes", "error", "param"),
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
        (
            request(prompt={"kind": "infill", "prefix": "a", "suffix": "b"}),
            {},
            UnsupportedError,
            "prompt.suffix",
        ),
        (chat(prefix_token_ids=[259]), {}, InvalidRequestError, "prompt.prefix_token_ids"),
    ],
)
def test_the_unsupported_field_is_named(
    wire: GenerateRequest, changes: dict[str, Any], error: type[InferenceError], param: str
) -> None:
    with pytest.raises(error) as caught:
        resolve_prompt(wire.prompt, model_info(**changes))
    assert caught.value.param == param


def test_every_model_supports_not_thinking() -> None:
    resolve_prompt(chat(thinking="off").prompt, INFO)


@pytest.mark.parametrize(
    "fields",
    [
        {"stop_token_ids": [259]},
        {"sampling": {"logit_bias": {259: 1.0}}},
        {"fallback": {"logit_bias": {-1: 1.0}}},
    ],
)
def test_token_ids_out_of_range_are_rejected(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="out of range"):
        resolve(request(**fields), INFO)


def test_the_first_and_the_last_token_id_are_valid() -> None:
    resolve(request(stop_token_ids=[0, INFO.vocab_size - 1]), INFO)


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
def test_an_auto_prompt_that_a_base_model_does_not_support_is_rejected(
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
