"""Gateways and replicas of two releases, during a rolling upgrade."""

import json
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from sizeup_wire.errors import Failure
from sizeup_wire.events import Event, Text, event_adapter
from sizeup_wire.generate import (
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    Prompt,
    Sampling,
    TextPrompt,
    TokenPrompt,
)
from sizeup_wire.model import (
    EmbedResponse,
    KeepAliveResponse,
    ModelInfo,
    Stats,
    TokenizeResponse,
)


def test_a_field_of_a_later_release_is_passed_over_in_what_is_answered() -> None:
    said = '{"event": "text", "text": "a", "mood": "good"}'
    assert event_adapter.validate_json(said) == Text(text="a")
    later = {"expires_at": 1.5, "why": "later"}
    assert KeepAliveResponse.model_validate(later) == KeepAliveResponse(expires_at=1.5)


def parts_of(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in a type, and the models in these."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from parts_of(field.annotation)
    for argument in get_args(annotation):
        yield from parts_of(argument)


REPLIES = (
    *parts_of(Event),
    Failure,
    ModelInfo,
    Stats,
    TokenizeResponse,
    EmbedResponse,
    KeepAliveResponse,
)


@pytest.mark.parametrize("reply", REPLIES)
def test_nothing_that_is_answered_refuses_a_field_at_any_depth(reply: type[BaseModel]) -> None:
    assert {part for part in parts_of(reply) if part.model_config["extra"] != "ignore"} == set()


def test_the_defaults_of_a_request_are_part_of_the_protocol() -> None:
    """They are not said, so both ends must mean the same; a change is another field."""
    asked = GenerateRequest(prompt=TextPrompt(text="hi"))
    assert {k: v for k, v in asked.model_dump(mode="json").items() if v} == {
        "prompt": {"kind": "text", "text": "hi"},
        "sampling": dict.fromkeys(Sampling.model_fields),
        "fallback": dict.fromkeys(Sampling.model_fields),
        "n": 1,
    }


def test_one_in_what_is_asked_is_refused() -> None:
    with pytest.raises(ValidationError):
        GenerateRequest.model_validate({"prompt": {"kind": "text", "text": "a"}, "mood": "good"})


@pytest.mark.parametrize(
    "prompt",
    [
        ChatPrompt(messages=(ChatMessage(role="user", content="hi"),)),
        TextPrompt(text="hi"),
        TokenPrompt(token_ids=(1, 2)),
    ],
)
def test_a_request_says_what_is_not_at_its_default_and_which_prompt_it_has(prompt: Prompt) -> None:
    request = GenerateRequest(
        prompt=prompt, sampling=Sampling(temperature=0.0), echo=False, n=1, seed=0
    )
    asked = json.loads(request.to_json())
    assert asked.keys() == {"prompt", "sampling", "seed"}
    assert asked["prompt"]["kind"] == prompt.kind
    assert asked["sampling"] == {"temperature": 0.0}
    assert GenerateRequest.model_validate_json(request.to_json()) == request
