"""The stored text of created models."""

import json

import pytest

from sizeup_gateway.created_models import document
from sizeup_gateway.errors import InvalidRequestError
from sizeup_gateway.models.created import CreatedModel
from sizeup_wire.generate import ChatMessage, ToolCallRequest

CALL = ToolCallRequest(name="f", arguments={"x": 1})
BOT = CreatedModel(
    name="Me/Bot:1",
    base="Qwen/Q",
    system="be kind",
    parameters={"temperature": 0.5, "stop": ["a"], "num_gpu": 1},
    messages=(
        ChatMessage(role="user", content="hi"),
        ChatMessage(role="assistant", tool_calls=(CALL,)),
    ),
    license=("MIT",),
    modified_at=1.5,
)


def test_a_model_is_read_as_it_was_written() -> None:
    text = document.with_model(document.parse(""), BOT)
    assert document.parse(text).models == {"me/bot:1": BOT}
    assert document.parse(document.without_model(document.parse(text), "me/bot:1")).models == {}


@pytest.mark.parametrize("text", ["x", "[]", "{}", '{"models": 5}', "[" * 100_000])
def test_a_text_that_is_not_a_document_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a document"):
        document.parse(text)


@pytest.mark.parametrize(
    "entry",
    [
        5,
        {},
        {"name": "x:1", "base": "a/b", "modified_at": 1, "new": True},
        {"name": "y:1", "base": "a/b", "modified_at": 1},
        {"name": "x:1 ", "base": "a/b", "modified_at": 1},
        {"name": "library/x:1", "base": "a/b", "modified_at": 1},
    ],
)
def test_an_entry_of_another_release_is_left_out_and_kept(entry: object) -> None:
    read = document.parse(json.dumps({"models": {"x:1": entry}}))
    assert (read.models, set(read.errors)) == ({}, {"x:1"})
    assert json.loads(document.with_model(read, BOT))["models"]["x:1"] == entry


def test_the_size_and_the_number_of_models_are_limited() -> None:
    large = BOT.model_copy(update={"system": "x" * document.MAX_MODEL_BYTES})
    with pytest.raises(InvalidRequestError):
        document.with_model(document.parse(""), large)
    entries: dict[str, object] = {f"{i}:1": {} for i in range(document.MAX_MODELS)}
    with pytest.raises(InvalidRequestError):
        document.with_model(document.parse(json.dumps({"models": entries})), BOT)
    full = {"a:1": "x" * (document.MAX_BYTES - 100)}
    with pytest.raises(InvalidRequestError):
        document.with_model(document.parse(json.dumps({"models": full})), BOT)
