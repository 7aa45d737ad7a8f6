"""The official clients, unmodified, against the real processes."""

import asyncio
import math
from collections.abc import Iterator

import ollama
import openai
import pytest

from system.deployment import Deployment
from system.models import ENDLESS, TOY
from system.requests import DEADLINE_SECONDS

PROMPT = "Tell me a story."
OPTIONS = {"temperature": 0, "num_predict": 40}


@pytest.fixture
def ollama_client(serving: Deployment) -> Iterator[ollama.Client]:
    with ollama.Client(host=serving.url, timeout=DEADLINE_SECONDS) as client:
        yield client


@pytest.fixture
def openai_client(serving: Deployment) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{serving.url}/v1", api_key="none", timeout=DEADLINE_SECONDS, max_retries=0
    ) as client:
        yield client


def test_ollama_chat(ollama_client: ollama.Client) -> None:
    messages = [{"role": "user", "content": PROMPT}]
    complete = ollama_client.chat(TOY, messages, options=OPTIONS)
    assert complete.message.content
    assert (complete.done, complete.model) == (True, TOY)
    parts = list(ollama_client.chat(TOY, messages, stream=True, options=OPTIONS))
    assert "".join(part.message.content or "" for part in parts) == complete.message.content
    assert parts[-1].eval_count == complete.eval_count
    assert len(parts) > 10


def test_ollama_generate_list_show_ps(ollama_client: ollama.Client) -> None:
    reply = ollama_client.generate(TOY, PROMPT, options=OPTIONS)
    assert reply.response
    parts = list(ollama_client.generate(TOY, PROMPT, stream=True, options=OPTIONS))
    assert "".join(part.response or "" for part in parts) == reply.response
    assert {model.model for model in ollama_client.list().models} == {TOY, f"{ENDLESS}:latest"}
    shown = ollama_client.show(TOY)
    assert shown.capabilities is not None
    assert "tools" in shown.capabilities
    assert {model.model for model in ollama_client.ps().models} == {TOY, f"{ENDLESS}:latest"}


def test_ollama_async_client(serving: Deployment) -> None:
    async def scenario() -> None:
        async with ollama.AsyncClient(host=serving.url, timeout=DEADLINE_SECONDS) as client:
            messages = [{"role": "user", "content": PROMPT}]
            complete = await client.chat(TOY, messages, options=OPTIONS)
            stream = await client.chat(TOY, messages, stream=True, options=OPTIONS)
            text = "".join([part.message.content or "" async for part in stream])
            assert text == complete.message.content != ""

    asyncio.run(scenario())


def test_openai_chat_completions(openai_client: openai.OpenAI) -> None:
    complete = openai_client.chat.completions.create(
        model=TOY, messages=[{"role": "user", "content": PROMPT}], temperature=0, max_tokens=40
    )
    assert complete.choices[0].message.content
    assert complete.usage is not None
    stream = openai_client.chat.completions.create(
        model=TOY,
        messages=[{"role": "user", "content": PROMPT}],
        temperature=0,
        max_completion_tokens=40,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == complete.choices[0].message.content
    assert chunks[-1].usage == complete.usage
    assert len(chunks) > 10


def test_openai_completions_and_models(openai_client: openai.OpenAI) -> None:
    reply = openai_client.completions.create(
        model=TOY, prompt="Once upon a time", max_tokens=10, temperature=0
    )
    stream = openai_client.completions.create(
        model=TOY, prompt="Once upon a time", max_tokens=10, temperature=0, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in stream) == reply.choices[0].text != ""
    assert openai_client.models.retrieve(ENDLESS).id == ENDLESS
    assert {model.id for model in openai_client.models.list()} == {TOY, f"{ENDLESS}:latest"}


def test_embeddings_of_both_apis_are_the_same_vectors(
    ollama_client: ollama.Client, openai_client: openai.OpenAI
) -> None:
    texts = [PROMPT, *(f"{PROMPT} {i}" for i in range(50))]
    embedded = ollama_client.embed(TOY, texts)
    created = openai_client.embeddings.create(model=TOY, input=texts)
    vectors = [one.embedding for one in created.data]
    assert len(vectors) == len(texts)
    for vector, other in zip(vectors, embedded.embeddings, strict=True):
        assert vector == pytest.approx(list(other), abs=1e-4)
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)
    assert created.usage.prompt_tokens == embedded.prompt_eval_count
    raw = list(ollama_client.embeddings(TOY, PROMPT).embedding)
    length = math.hypot(*raw)
    assert [component / length for component in raw] == pytest.approx(vectors[0], abs=1e-4)
    short = openai_client.embeddings.create(model=TOY, input=PROMPT, dimensions=4).data[0]
    length = math.hypot(*vectors[0][:4])
    assert short.embedding == pytest.approx([x / length for x in vectors[0][:4]], abs=1e-4)


def test_openai_async_client(serving: Deployment) -> None:
    async def scenario() -> None:
        client = openai.AsyncOpenAI(
            base_url=f"{serving.url}/v1", api_key="none", timeout=DEADLINE_SECONDS, max_retries=0
        )
        async with client:
            stream = await client.chat.completions.create(
                model=TOY,
                messages=[{"role": "user", "content": PROMPT}],
                temperature=0,
                max_tokens=40,
                stream=True,
            )
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            complete = await client.chat.completions.create(
                model=TOY,
                messages=[{"role": "user", "content": PROMPT}],
                temperature=0,
                max_tokens=40,
            )
            assert text == complete.choices[0].message.content != ""

    asyncio.run(scenario())
