"""/api/embed, /api/embeddings and /v1/embeddings: what they take and what they return."""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.embed_script import vectors
from gateway.embedding import BODY, EMBED, LEGACY, OPENAI, answer, serving
from gateway.fake_inference import (
    FakeInference,
    fake_inference,
    model_info,
    refusing,
    started,
)
from gateway.harness import MODEL, Gateway, running_gateway
from sizeup_wire.embeddings import MAX_INPUTS, EmbedEvent, EmbedRequest
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Failed
from sizeup_wire.generate import TextPrompt, TokenPrompt

UNIT = [1 / 26**0.5, 3 / 26**0.5, 4 / 26**0.5]
"""The vector of "a", of length 1."""


def sent(path: str, body: dict[str, Any]) -> EmbedRequest:
    """Return the request that inference receives."""
    found: list[EmbedRequest] = []

    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        status, _, text = await gateway.post(path, {"model": MODEL} | body)
        assert status == 200, text
        found.extend(fake.embed_requests)

    serving(scenario)
    (request,) = found
    return request


def text_of(error: Any) -> str:
    return str(error["error"] if isinstance(error["error"], str) else error["error"]["message"])


def test_api_embed_returns_unit_vectors_and_figures() -> None:
    status, body = answer(EMBED, {"model": MODEL, "input": ["a", "bb"]})
    assert status == 200
    assert (body["model"], body["prompt_eval_count"]) == (MODEL, 14)
    assert 0 < body["load_duration"] < body["total_duration"]
    assert body["embeddings"][0] == pytest.approx(UNIT)
    assert len(body["embeddings"]) == 2
    assert body.keys() == {
        "model", "embeddings", "total_duration", "load_duration", "prompt_eval_count",
    }  # fmt: skip


def test_api_embeddings_returns_the_vector_as_the_model_makes_it() -> None:
    assert answer(LEGACY, {"model": MODEL, "prompt": "a"}) == (200, {"embedding": [1, 3, 4]})


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_v1_embeddings_returns_unit_vectors(encoding: str | None) -> None:
    request = {"model": MODEL, "input": ["a", "bb"], "encoding_format": encoding}
    status, body = answer(OPENAI, request)
    assert status == 200
    assert (body["object"], body["model"]) == ("list", MODEL)
    assert body["usage"] == {"prompt_tokens": 14, "total_tokens": 14}
    assert [(d["object"], d["index"]) for d in body["data"]] == [("embedding", 0), ("embedding", 1)]
    vector = body["data"][0]["embedding"]
    if encoding == "base64":
        vector = struct.unpack("<3f", base64.b64decode(vector))
    assert list(vector) == pytest.approx(UNIT)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (EMBED, {"input": "a"}, {"normalize": True}),
        (EMBED, {"input": ["a"], "truncate": True}, {"normalize": True}),
        (EMBED, {"input": "a", "truncate": False}, {"normalize": True, "truncate": False}),
        (EMBED, {"input": "a", "dimensions": 2}, {"normalize": True, "dimensions": 2}),
        (EMBED, {"input": "a", "dimensions": 0}, {"normalize": True}),
        (
            EMBED,
            {"input": "a", "options": {"num_ctx": 1, "temperature": 0}},
            {"normalize": True, "max_context": 1},
        ),
        (EMBED, {"input": "a", "keep_alive": "5m"}, {"normalize": True, "keep_alive_seconds": 300}),
        (LEGACY, {"prompt": "a"}, {}),
        (LEGACY, {"prompt": "a", "keep_alive": -1}, {"keep_alive_seconds": -1}),
        (LEGACY, {"prompt": "a", "options": {"num_ctx": 9}}, {"max_context": 9}),
        (OPENAI, {"input": "a"}, {"normalize": True, "truncate": False}),
        (
            OPENAI,
            {"input": ["a"], "dimensions": 2, "user": "x"},
            {"normalize": True, "truncate": False, "dimensions": 2},
        ),
    ],
)
def test_every_field_reaches_inference(
    path: str, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    request = sent(path, body)
    assert request.prompts == (TextPrompt(text="a"),)
    assert request.model_dump(exclude={"prompts", "client"}, exclude_defaults=True) == expected


@pytest.mark.parametrize(
    ("value", "prompts"),
    [
        ("a", (TextPrompt(text="a"),)),
        (["a", "b"], (TextPrompt(text="a"), TextPrompt(text="b"))),
        ([1, 2], (TokenPrompt(token_ids=(1, 2)),)),
        ([[1], [2, 3]], (TokenPrompt(token_ids=(1,)), TokenPrompt(token_ids=(2, 3)))),
    ],
)
def test_v1_takes_four_forms_of_input(value: object, prompts: object) -> None:
    assert sent(OPENAI, {"input": value}).prompts == prompts


NOT_TEXTS: list[object] = [5, 0, False, {}, {"a": 1}, [1], ["a", 1], [["a"]], [None]]
NOT_INPUTS: list[object] = [
    None, "", [], [""], ["a", ""], [[]], [[1], []], 5, {}, ["a", 1], [1, "a"], [1.5], [True], [-1],
    [[1], ["a"]], ["a"] * (MAX_INPUTS + 1), [[1]] * (MAX_INPUTS + 1),
]  # fmt: skip
NOT_FORMATS: list[object] = ["int8", "", 5, ["float"]]
NOT_DIMENSIONS: list[object] = [0, -1, 1.5, "2", True]

BAD: list[tuple[str, dict[str, Any], int, str]] = [
    (EMBED, {"model": "", "input": "a"}, 404, "model '' not found"),
    (EMBED, {"model": None, "input": "a"}, 404, "model '' not found"),
    (EMBED, {"model": "a b", "input": "a"}, 400, "invalid model name"),
    (EMBED, {"model": "x", "input": "a"}, 404, 'model "x" not found, try pulling it first'),
    (EMBED, {"model": "x"}, 404, 'model "x" not found, try pulling it first'),
    (LEGACY, {"model": "", "prompt": "a"}, 400, "model is required"),
    (LEGACY, {"model": "x", "prompt": "a"}, 404, 'model "x" not found, try pulling it first'),
    (OPENAI, {"model": "", "input": "a"}, 400, "model is required"),
    (OPENAI, {"model": "x", "input": "a"}, 404, "model 'x' not found"),
    *[(EMBED, {"input": value}, 400, "invalid input type") for value in NOT_TEXTS],
    (EMBED, {"input": ["a"] * (MAX_INPUTS + 1)}, 400, "input: "),
    (EMBED, {"input": "a", "dimensions": -1}, 400, "dimensions: "),
    (EMBED, {"input": "a", "dimensions": "2"}, 400, "dimensions: "),
    (EMBED, {"input": "a", "truncate": "no"}, 400, "truncate: "),
    (EMBED, {"input": "a", "keep_alive": "5"}, 400, "time: missing unit"),
    (EMBED, {"input": "a", "options": {"num_ctx": "x"}}, 400, 'option "num_ctx"'),
    (LEGACY, {"prompt": ["a"]}, 400, "prompt: "),
    *[(OPENAI, {"input": value}, 400, "input: must be") for value in NOT_INPUTS],
    (OPENAI, {}, 400, "input: "),
    *[
        (OPENAI, {"input": "a", "encoding_format": value}, 400, "encoding_format: ")
        for value in NOT_FORMATS
    ],
    *[
        (OPENAI, {"input": "a", "dimensions": value}, 400, "dimensions: ")
        for value in NOT_DIMENSIONS
    ],
]
"""Path, body, and the status and the beginning of the message that it gets."""


def test_bad_input_is_rejected_in_the_shape_and_words_of_the_dialect() -> None:
    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        for path, body, expected, words in BAD:
            status, _, text = await gateway.post(path, {"model": MODEL} | body)
            assert status == expected, (path, body, text)
            assert text_of(json.loads(text)).startswith(words), (path, body, text)
        assert fake.embed_requests == []

    serving(scenario)


async def too_long(_request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
    yield started()
    message = "This model's maximum context length is 5 tokens, and an input has 9"
    yield Failed(code=ErrorCode.CONTEXT_LENGTH_EXCEEDED, message=message, param="prompts")


def test_an_input_beyond_the_context_has_the_words_that_clients_compare() -> None:
    status, body = answer(EMBED, BODY | {"truncate": False}, too_long)
    assert (status, body) == (400, {"error": "the input length exceeds the context length"})
    status, body = answer(OPENAI, BODY, too_long)
    assert status == 400
    assert "maximum context length is 5 tokens" in body["error"]["message"]
    assert (body["error"]["code"], body["error"]["param"]) == ("context_length_exceeded", "input")


def test_more_dimensions_than_the_model_has_are_an_error_only_under_v1() -> None:
    async def whole(request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
        for event in vectors(request.model_copy(update={"dimensions": None})):
            yield event

    assert len(answer(EMBED, BODY | {"dimensions": 9}, whole)[1]["embeddings"][0]) == 3
    status, body = answer(OPENAI, BODY | {"dimensions": 9}, whole)
    assert (status, body["error"]["param"]) == (400, "dimensions")
    assert answer(OPENAI, BODY | {"dimensions": 3}, whole)[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "verb"),
    [
        ("/api/chat", {"messages": [{"role": "user", "content": "a"}]}, "chat"),
        ("/api/generate", {"prompt": "a"}, "generate"),
        ("/api/generate", {"prompt": "a", "raw": True}, "generate"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}, "chat"),
        ("/v1/completions", {"prompt": "a"}, "generate"),
        ("/v1/completions", {"prompt": [1]}, "generate"),
    ],
)
def test_a_model_made_for_embeddings_does_not_generate(
    path: str, body: dict[str, Any], verb: str
) -> None:
    field = "prompt.messages" if verb == "chat" else "prompt.text"
    script = refusing(ErrorCode.UNSUPPORTED, 400, "no", param=field)

    async def scenario() -> None:
        info = model_info(capabilities=("embedding",))
        async with fake_inference(script, info) as fake, running_gateway(fake) as gateway:
            status, _, text = await gateway.post(path, {"model": MODEL} | body)
            assert status == 400
            assert text_of(json.loads(text)) == f'"{MODEL}" does not support {verb}'
            _, tags = await gateway.get("/api/tags")
            assert tags["models"][0]["capabilities"] == ["embedding"]

    asyncio.run(scenario())
