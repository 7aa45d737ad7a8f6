import pytest
from pydantic import ValidationError

from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    PromptToken,
    PromptTokens,
    Started,
    Text,
    TopLogprob,
    event_adapter,
)
from sizeup_wire.generate import ChatMessage, ChatPrompt, GenerateRequest, Sampling


@pytest.mark.parametrize(
    "event",
    [
        Started(queued_ns=1, load_ns=0, prompt_tokens=3),
        PromptTokens(text="a"),
        PromptTokens(
            choice=3,
            text="é",
            tokens=(
                PromptToken(token="�", bytes=(0xC3,), logprob=None),
                PromptToken(
                    token="�",
                    bytes=(0xA9,),
                    logprob=-0.5,
                    top=(TopLogprob(token="b", bytes=(98,), logprob=-0.25),),
                ),
            ),
        ),
        Text(text="你好 🙂"),
        Finished(
            reasons=(FinishReason.STOP,),
            prompt_tokens=3,
            completion_tokens=1,
            prompt_eval_ns=5,
            eval_ns=7,
            stop_strings=("END",),
        ),
        Failed(code=ErrorCode.INTERNAL, message="no"),
    ],
)
def test_an_event_round_trips_as_a_line(event: Event) -> None:
    assert event_adapter.validate_json(event.model_dump_json()) == event


def test_an_unknown_event_is_rejected() -> None:
    with pytest.raises(ValidationError):
        event_adapter.validate_json('{"event": "rumour"}')


@pytest.mark.parametrize("temperature", [float("nan"), float("inf"), -0.1])
def test_an_out_of_range_temperature_is_rejected(temperature: float) -> None:
    with pytest.raises(ValidationError):
        Sampling(temperature=temperature)


def test_a_prompt_without_messages_is_rejected() -> None:
    with pytest.raises(ValidationError):
        ChatPrompt(messages=())


def test_a_request_round_trips_as_json() -> None:
    request = GenerateRequest(
        prompt=ChatPrompt(messages=(ChatMessage(role="user", content="hi"),)),
        sampling=Sampling(temperature=0, logit_bias={7: -100}),
        stop=("\n",),
        seed=1,
        echo=True,
    )
    assert GenerateRequest.model_validate_json(request.model_dump_json()) == request
