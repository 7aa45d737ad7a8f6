import pytest
from pydantic import ValidationError

from sizeup_wire.generate import GenerateRequest, TextPrompt
from sizeup_wire.model import EmbedRequest, KeepAliveRequest, KeepAliveResponse


@pytest.mark.parametrize("seconds", [None, 0.0, -1.0, 300.0])
def test_a_keep_alive_survives_its_request(seconds: float | None) -> None:
    prompt = TextPrompt(text="a")
    generate = GenerateRequest(prompt=prompt, keep_alive_seconds=seconds)
    embed = EmbedRequest(prompts=(prompt,), keep_alive_seconds=seconds)
    assert GenerateRequest.model_validate_json(generate.model_dump_json()) == generate
    assert EmbedRequest.model_validate_json(embed.model_dump_json()) == embed


def test_residence_must_be_said_or_left_in_so_many_words() -> None:
    left = KeepAliveRequest.model_validate_json('{"keep_alive_seconds": null}')
    assert left.keep_alive_seconds is None
    with pytest.raises(ValidationError):
        KeepAliveRequest.model_validate_json("{}")


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf")])
def test_a_time_nobody_can_wait_is_refused(seconds: float) -> None:
    with pytest.raises(ValidationError):
        KeepAliveRequest(keep_alive_seconds=seconds)


def test_for_ever_is_no_time() -> None:
    assert KeepAliveResponse(expires_at=None).model_dump_json() == '{"expires_at":null}'
