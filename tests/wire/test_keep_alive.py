import pytest
from pydantic import ValidationError

from sizeup_wire.embeddings import EmbedRequest
from sizeup_wire.generate import GenerateRequest, TextPrompt
from sizeup_wire.model import KeepAliveRequest, KeepAliveResponse


@pytest.mark.parametrize("seconds", [None, 0.0, -1.0, 300.0])
def test_keep_alive_round_trips(seconds: float | None) -> None:
    prompt = TextPrompt(text="a")
    generate = GenerateRequest(prompt=prompt, keep_alive_seconds=seconds)
    embed = EmbedRequest(prompts=(prompt,), keep_alive_seconds=seconds)
    assert GenerateRequest.model_validate_json(generate.model_dump_json()) == generate
    assert EmbedRequest.model_validate_json(embed.model_dump_json()) == embed


def test_keep_alive_requires_an_explicit_value() -> None:
    left = KeepAliveRequest.model_validate_json('{"keep_alive_seconds": null}')
    assert left.keep_alive_seconds is None
    with pytest.raises(ValidationError):
        KeepAliveRequest.model_validate_json("{}")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf")])
def test_a_non_finite_keep_alive_is_rejected(seconds: float) -> None:
    with pytest.raises(ValidationError):
        KeepAliveRequest(keep_alive_seconds=seconds)


def test_forever_has_no_expiry() -> None:
    assert KeepAliveResponse(expires_at=None).model_dump_json() == '{"expires_at":null}'
