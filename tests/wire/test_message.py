"""Gateways and replicas of two releases, during a rolling upgrade."""

import json

import pytest
from pydantic import ValidationError

from sizeup_wire.events import Text, event_adapter
from sizeup_wire.generate import (
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    Prompt,
    Sampling,
    TextPrompt,
    TokenPrompt,
)
from sizeup_wire.model import ResidenceResponse


def test_a_field_of_a_later_release_is_passed_over_in_what_is_answered() -> None:
    said = '{"event": "text", "text": "a", "mood": "good"}'
    assert event_adapter.validate_json(said) == Text(text="a")
    later = {"expires_at": 1.5, "why": "later"}
    assert ResidenceResponse.model_validate(later) == ResidenceResponse(expires_at=1.5)


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
    asked = json.loads(request.asked())
    assert asked.keys() == {"prompt", "sampling", "seed"}
    assert asked["prompt"]["kind"] == prompt.kind
    assert asked["sampling"] == {"temperature": 0.0}
    assert GenerateRequest.model_validate_json(request.asked()) == request
