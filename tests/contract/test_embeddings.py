"""Embeddings by the official clients, synchronous and asynchronous."""

import asyncio
from collections.abc import Callable
from typing import Any

import ollama
import openai
import pytest

from gateway.fake_inference import fake_inference
from gateway.harness import HUB_ID, MODEL, running_gateway
from sizeup_wire.embeddings import EmbedRequest
from sizeup_wire.generate import TextPrompt, TokenPrompt

UNIT = [1 / 26**0.5, 3 / 26**0.5, 4 / 26**0.5]
"""The vector of "a", of length 1."""


def run(blocking: Callable[[str], None]) -> list[EmbedRequest]:
    """Run a synchronous client beside a gateway."""

    async def whole() -> list[EmbedRequest]:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            await asyncio.to_thread(blocking, gateway.url)
            return fake.embed_requests

    return asyncio.run(whole())


def test_ollama_embeds() -> None:
    def scenario(url: str) -> None:
        with ollama.Client(host=url) as client:
            one = client.embed(MODEL, "a")
            assert (one.model, one.prompt_eval_count) == (MODEL, 7)
            assert one.embeddings[0] == pytest.approx(UNIT)
            assert one.total_duration is not None
            assert one.load_duration is not None
            several = client.embed(HUB_ID, ["a", "bb"], truncate=False, dimensions=2)
            assert several.model == HUB_ID
            assert [len(vector) for vector in several.embeddings] == [2, 2]
            assert client.embed(MODEL, "", keep_alive="5m").embeddings == []
            raw = client.embeddings(MODEL, "a")
            assert list(raw.embedding) == [1, 3, 4]
            assert client.embeddings(MODEL).embedding == []

    first, second, third = run(scenario)
    assert first.prompts == third.prompts == (TextPrompt(text="a"),)
    assert (second.truncate, second.dimensions, len(second.prompts)) == (False, 2, 2)


def test_ollama_embeds_asynchronously() -> None:
    async def scenario(url: str) -> None:
        async with ollama.AsyncClient(host=url) as client:
            options = ollama.Options(num_ctx=4, temperature=0.0)
            found = await client.embed(MODEL, ["a"] * 100, options=options)
            assert len(found.embeddings) == 100
            assert found.embeddings[99] == pytest.approx(UNIT)
            assert list((await client.embeddings(MODEL, "a")).embedding) == [1, 3, 4]
            with pytest.raises(ollama.ResponseError, match="try pulling it first") as unknown:
                await client.embed("unknown", "a")
            assert unknown.value.status_code == 404

    requests = run(lambda url: asyncio.run(scenario(url)))
    assert [request.max_context for request in requests] == [4, None]


def openai_client(url: str) -> Any:
    return {"base_url": f"{url}/v1", "api_key": "none", "max_retries": 0}


@pytest.mark.parametrize("encoding", [openai.omit, "float", "base64"])
def test_openai_embeds(encoding: Any) -> None:
    def scenario(url: str) -> None:
        strict = encoding == "float"  # else the client validates base64 as numbers, and fails
        with openai.OpenAI(**openai_client(url), _strict_response_validation=strict) as client:
            found = client.embeddings.create(
                model=MODEL, input=["a", "bb"], encoding_format=encoding
            )
            assert (found.object, found.model) == ("list", MODEL)
            assert (found.usage.prompt_tokens, found.usage.total_tokens) == (14, 14)
            assert [one.index for one in found.data] == [0, 1]
            if encoding != "base64":
                assert found.data[0].embedding == pytest.approx(UNIT)

    (request,) = run(scenario)
    assert request.prompts == (TextPrompt(text="a"), TextPrompt(text="bb"))


def test_openai_embeds_asynchronously_in_every_form_of_input() -> None:
    async def scenario(url: str) -> None:
        async with openai.AsyncOpenAI(**openai_client(url)) as client:
            for value in ("a", ["a"], [1], [[1]]):
                found = await client.embeddings.create(model=MODEL, input=value, dimensions=3)
                assert found.data[0].embedding == pytest.approx(UNIT)
            for bad in ([], "", [""]):
                with pytest.raises(openai.BadRequestError) as error:
                    await client.embeddings.create(model=MODEL, input=bad)
                assert error.value.param == "input"
            with pytest.raises(openai.NotFoundError):
                await client.embeddings.create(model="unknown", input="a")

    requests = run(lambda url: asyncio.run(scenario(url)))
    text, tokens = TextPrompt(text="a"), TokenPrompt(token_ids=(1,))
    assert [request.prompts for request in requests] == [(text,), (text,), (tokens,), (tokens,)]
    assert {request.truncate for request in requests} == {False}
