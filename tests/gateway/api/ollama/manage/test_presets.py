"""What a created model adds to a request: beneath the request, above everything else."""

from typing import Any

import pytest

from sizeup_gateway.api.ollama import schema as ollama
from sizeup_gateway.api.ollama import translate as from_ollama
from sizeup_gateway.api.ollama.manage.presets import with_preset
from sizeup_gateway.api.openai import schema as openai
from sizeup_gateway.api.openai import translate as from_openai
from sizeup_gateway.errors import InvalidRequestError
from sizeup_gateway.models.created import CreatedModel
from sizeup_wire.generate import (
    MAX_MESSAGES,
    AutoPrompt,
    ChatMessage,
    ChatPrompt,
    GenerateRequest,
    TextPrompt,
)

USER = {"role": "user", "content": "hi"}
SYSTEM = {"role": "system", "content": "asked"}
PARAMETERS: dict[str, Any] = {
    "temperature": 0.25,
    "top_k": 3,
    "top_p": 0.5,
    "min_p": 0.1,
    "repeat_last_n": 7,
    "repeat_penalty": 1.5,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.75,
    "num_ctx": 512,
    "num_predict": 9,
    "seed": 42,
    "stop": ["#"],
    "num_gpu": 1,
}
TURNS = (ChatMessage(role="user", content="1+1?"), ChatMessage(role="assistant", content="2"))
DIALECTS = pytest.mark.parametrize("dialect", ["ollama", "openai"])


def created(**fields: Any) -> CreatedModel:
    return CreatedModel.model_validate({"name": "x:1", "base": "a/b", "modified_at": 1, **fields})


def chat(dialect: str, model: CreatedModel | None, *messages: dict[str, str], **fields: Any) -> Any:
    """Return the wire request of a chat; `options` are fields of OpenAI's request."""
    body = {"model": "x", "messages": messages or (USER,), **fields}
    if dialect == "ollama":
        asked = ollama.ChatRequest.model_validate(body, strict=False)
        return with_preset(model, from_ollama.from_chat(asked), from_ollama.given(asked))
    body |= body.pop("options", {})
    wanted = openai.ChatCompletionRequest.model_validate(body, strict=False)
    return with_preset(model, from_openai.from_chat(wanted), from_openai.given(wanted))


def generate(model: CreatedModel, **fields: Any) -> GenerateRequest:
    body = ollama.GenerateRequest.model_validate({"model": "x", "prompt": "hi", **fields})
    return with_preset(model, from_ollama.from_generate(body), from_ollama.given(body))


def roles(request: GenerateRequest) -> list[tuple[str, str]]:
    assert isinstance(request.prompt, ChatPrompt)
    return [(message.role, message.content) for message in request.prompt.messages]


@DIALECTS
def test_every_parameter_is_a_default(dialect: str) -> None:
    request = chat(dialect, created(parameters=PARAMETERS))
    assert request.sampling.model_dump(exclude_none=True) == {
        "temperature": 0.25,
        "top_k": 3,
        "top_p": 0.5,
        "min_p": 0.1,
        "repeat_last_n": 7,
        "repetition_penalty": 1.5,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.75,
    }
    assert (request.max_context, request.max_tokens, request.seed) == (512, 9, 42)
    assert request.stop == ("#",)
    plain = chat(dialect, None)
    changed = ("prompt", "sampling", "max_context", "max_tokens", "seed", "stop")
    assert request.model_dump(exclude={*changed}) == plain.model_dump(exclude={*changed})


@DIALECTS
def test_the_request_takes_precedence(dialect: str) -> None:
    own: dict[str, Any] = {"temperature": 1.0, "seed": 7, "stop": []}
    own |= {"num_predict": 5} if dialect == "ollama" else {"max_completion_tokens": 5}
    request = chat(dialect, created(parameters=PARAMETERS), options=own)
    assert (request.sampling.temperature, request.sampling.top_k) == (1.0, 3)
    assert (request.seed, request.stop, request.max_tokens) == (7, (), 5)
    assert request.max_context == 512


def test_ollama_s_defaults_can_be_asked_for() -> None:
    own = {"num_ctx": 0, "num_predict": -1, "seed": -1}
    request = chat("ollama", created(parameters=PARAMETERS), options=own)
    assert (request.max_context, request.max_tokens, request.seed) == (None, None, None)


def test_a_completion_takes_the_length_of_the_created_model_before_openai_s_default() -> None:
    for fields, expected in (({}, 9), ({"max_tokens": 5}, 5)):
        body = openai.CompletionRequest.model_validate({"model": "x", "prompt": "a", **fields})
        (wire,) = from_openai.from_completion(body)
        request = with_preset(created(parameters=PARAMETERS), wire, from_openai.given(body))
        assert (request.max_tokens, request.prompt) == (expected, TextPrompt(text="a"))


@DIALECTS
def test_the_system_prompt_of_a_request_replaces_that_of_the_model(dialect: str) -> None:
    model = created(system="own", messages=TURNS)
    turns = [("user", "1+1?"), ("assistant", "2")]
    assert roles(chat(dialect, model)) == [("system", "own"), *turns, ("user", "hi")]
    asked = chat(dialect, model, SYSTEM, USER)
    assert roles(asked) == [("system", "asked"), *turns, ("user", "hi")]


def test_a_system_message_among_the_turns_is_one_too() -> None:
    turns = (ChatMessage(role="system", content="turn"), *TURNS)
    model = created(system="own", messages=turns)
    assert [role for role, _ in roles(chat("ollama", model))].count("system") == 1
    assert roles(chat("ollama", model, SYSTEM, USER))[0] == ("system", "asked")
    assert [role for role, _ in roles(chat("ollama", model, SYSTEM, USER))].count("system") == 1


def test_generate_has_the_system_prompt_and_the_turns() -> None:
    own = created(system="own")
    assert generate(own).prompt == AutoPrompt(text="hi", system="own")
    assert generate(own, system="asked").prompt == AutoPrompt(text="hi", system="asked")
    both = created(system="own", messages=TURNS)
    turns = [("user", "1+1?"), ("assistant", "2"), ("user", "hi")]
    assert roles(generate(both)) == [("system", "own"), *turns]
    assert roles(generate(both, system="asked")) == [("system", "asked"), *turns]
    assert generate(both, raw=True).prompt == TextPrompt(text="hi")
    continued = generate(both, context=[1, 2]).prompt
    assert continued == AutoPrompt(text="hi", prefix_token_ids=(1, 2))  # they are in the context


@DIALECTS
def test_thinking_is_a_default(dialect: str) -> None:
    model = created(parameters={"think": False})
    assert chat(dialect, model).prompt.thinking == "off"
    assert chat(dialect, model, think=True).prompt.thinking != "off"


def test_too_many_turns_are_rejected() -> None:
    model = created(messages=TURNS)
    with pytest.raises(InvalidRequestError):
        chat("ollama", model, *[USER] * (MAX_MESSAGES - 1))


def test_a_parameter_that_is_no_longer_valid_is_named() -> None:
    with pytest.raises(InvalidRequestError, match="top_p"):
        chat("ollama", created(parameters={"top_p": 7}))
