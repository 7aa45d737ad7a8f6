"""One switch for reasoning, in the words of several servers."""

from typing import Any

import pytest

from sizeup_gateway.api.openai.reasoning import ReasoningFields, returns_reasoning, thinking_mode
from sizeup_wire.generate import ThinkingMode


def body(**fields: Any) -> ReasoningFields:
    return ReasoningFields.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({}, None),
        *[({"reasoning_effort": level}, "if_supported") for level in ("minimal", "low", "max")],
        ({"reasoning_effort": "none"}, "off"),
        ({"reasoning": {"effort": "high"}}, "if_supported"),
        ({"reasoning": {"effort": "none"}}, "off"),
        ({"reasoning": {"enabled": True}}, "if_supported"),
        ({"reasoning": {"enabled": False, "effort": "high"}}, "off"),
        ({"reasoning": {"max_tokens": 2000}}, "if_supported"),
        ({"reasoning": {"max_tokens": 0}}, "off"),
        ({"reasoning": {}}, None),
        ({"thinking": {"type": "enabled"}}, "if_supported"),
        ({"thinking": {"type": "disabled"}}, "off"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"think": True}, "if_supported"),
        ({"think": "low"}, "if_supported"),
        ({"think": False}, "off"),
        ({"enable_thinking": False}, "off"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "off"),
        ({"chat_template_kwargs": {"thinking": True}}, "if_supported"),
        ({"chat_template_kwargs": {"tokenize": True}}, None),
    ],
)
def test_each_form_decides_alone(fields: dict[str, Any], mode: ThinkingMode | None) -> None:
    assert thinking_mode(body(**fields)) == mode


def test_the_first_form_that_is_set_decides() -> None:
    forms: list[dict[str, Any]] = [
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"enable_thinking": False},
        {"think": False},
        {"thinking": {"type": "disabled"}},
        {"reasoning": {"enabled": False}},
        {"reasoning_effort": "high"},
    ]
    for i in range(len(forms) - 1):
        later: dict[str, Any] = {}
        for form in forms[i:]:
            later |= form
        assert thinking_mode(body(**later)) == "off"


@pytest.mark.parametrize(
    ("fields", "returned"),
    [
        ({}, True),
        ({"reasoning": {"exclude": True}}, False),
        ({"reasoning": {"exclude": False}}, True),
        ({"include_reasoning": False}, False),
        ({"include_reasoning": True}, True),
    ],
)
def test_reasoning_can_be_left_out_of_the_response(fields: dict[str, Any], returned: bool) -> None:
    assert returns_reasoning(body(**fields)) is returned
