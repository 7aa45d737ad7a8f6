"""Gateways and replicas of two releases, during a rolling upgrade."""

import json
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from sizeup_wire.embeddings import EmbedEvent, EmbedRequest
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
    KeepAliveResponse,
    ModelInfo,
    Stats,
    TokenizeResponse,
)


def test_responses_ignore_fields_of_a_later_release() -> None:
    line = '{"event": "text", "text": "a", "mood": "good"}'
    assert event_adapter.validate_json(line) == Text(text="a")
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
    *parts_of(EmbedEvent),
    Failure,
    ModelInfo,
    Stats,
    TokenizeResponse,
    KeepAliveResponse,
)


@pytest.mark.parametrize("reply", REPLIES)
def test_no_nested_response_model_refuses_unknown_fields(reply: type[BaseModel]) -> None:
    assert {part for part in parts_of(reply) if part.model_config["extra"] != "ignore"} == set()


def test_the_defaults_of_a_request_are_part_of_the_protocol() -> None:
    """Defaults are not serialized, so both ends must agree; a new default needs a new field."""
    sent = GenerateRequest(prompt=TextPrompt(text="hi"))
    assert {k: v for k, v in sent.model_dump(mode="json").items() if v} == {
        "prompt": {"kind": "text", "text": "hi"},
        "sampling": dict.fromkeys(Sampling.model_fields),
        "fallback": dict.fromkeys(Sampling.model_fields),
        "n": 1,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }


def test_the_defaults_of_embeddings_are_part_of_the_protocol() -> None:
    sent = EmbedRequest(prompts=(TextPrompt(text="hi"), TokenPrompt(token_ids=(1,))))
    assert {k: v for k, v in sent.model_dump(mode="json").items() if v} == {
        "prompts": [{"kind": "text", "text": "hi"}, {"kind": "tokens", "token_ids": [1]}],
        "truncate": True,
    }
    assert EmbedRequest.model_validate_json(sent.to_json()) == sent


def test_requests_reject_unknown_fields() -> None:
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
def test_a_request_serializes_non_default_fields_and_its_prompt_kind(prompt: Prompt) -> None:
    request = GenerateRequest(
        prompt=prompt, sampling=Sampling(temperature=0.0), echo=False, n=1, seed=0
    )
    sent = json.loads(request.to_json())
    assert sent.keys() == {"prompt", "sampling", "seed"}
    assert sent["prompt"]["kind"] == prompt.kind
    assert sent["sampling"] == {"temperature": 0.0}
    assert GenerateRequest.model_validate_json(request.to_json()) == request
