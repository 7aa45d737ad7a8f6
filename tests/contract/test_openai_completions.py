"""The official OpenAI client, unmodified, over real sockets: completions, models, errors."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import openai
import pytest

from contract.openai_session import MESSAGES, TEXT, run
from gateway.fake_inference import (
    Script,
    events,
    fake_inference,
    finished,
    refusing,
    responding_with,
    started,
)
from gateway.harness import HUB_ID, MODEL, running_gateway
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import (
    Event,
    Failed,
    FinishReason,
    PromptToken,
    PromptTokens,
    Text,
    TokenLogprob,
)
from sizeup_wire.generate import GenerateRequest, InfillPrompt, TextPrompt


@pytest.mark.parametrize("stream", [False, True])
def test_completions_of_several_prompts_are_numbered_by_prompt_and_choice(stream: bool) -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        texts = [""] * 4
        if stream:
            async for chunk in await client.completions.create(
                model=MODEL, prompt=["a", "b"], n=2, stream=True
            ):
                assert chunk.object == "text_completion"
                texts[chunk.choices[0].index] += chunk.choices[0].text
        else:
            completion = await client.completions.create(model=MODEL, prompt=["a", "b"], n=2)
            assert completion.usage is not None
            assert completion.usage.prompt_tokens == 14
            for choice in completion.choices:
                texts[choice.index] = choice.text
                assert choice.finish_reason == "stop"
        assert texts == [TEXT] * 4

    requests = run(scenario)
    assert sorted(r.prompt.model_dump()["text"] for r in requests) == ["a", "b"]
    assert {r.max_tokens for r in requests} == {16}


def test_completions_take_token_ids() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        await client.completions.create(model=MODEL, prompt=[1, 2, 3], max_tokens=4)

    (request,) = run(scenario)
    assert request.prompt.model_dump() == {"kind": "tokens", "token_ids": (1, 2, 3)}
    assert request.max_tokens == 4


def test_logprobs_of_a_completion() -> None:
    tokens = tuple(
        TokenLogprob(token=text, bytes=tuple(text.encode()), logprob=-0.5) for text in ("ab", "c")
    )
    script = events(
        started(),
        Text(text="ab", logprobs=tokens[:1]),
        Text(text="c", logprobs=tokens[1:]),
        finished(2),
    )

    async def scenario(client: openai.AsyncOpenAI) -> None:
        completion = await client.completions.create(model=MODEL, prompt="x", logprobs=0)
        logprobs = completion.choices[0].logprobs
        assert logprobs is not None
        assert (logprobs.tokens, logprobs.text_offset) == (["ab", "c"], [0, 2])
        assert logprobs.token_logprobs == [-0.5, -0.5]
        assert logprobs.top_logprobs == [{"ab": -0.5}, {"c": -0.5}]

    run(scenario, script)


def test_best_of_returns_the_likeliest_choices_of_each_prompt() -> None:
    means = ((-2.0, -0.5), (-1.0,), ())  # of the tokens of each choice

    async def script(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        assert isinstance(request.prompt, TextPrompt)
        yield started()
        for choice, logprobs in enumerate(means):
            for i, logprob in enumerate(logprobs):
                token = TokenLogprob(token=str(i), bytes=(48 + i,), logprob=logprob)
                text = f"{request.prompt.text}{choice} "
                yield Text(choice=choice, text=text, logprobs=(token,))
        yield finished(30, *[FinishReason.STOP, FinishReason.LENGTH, FinishReason.STOP])

    async def scenario(client: openai.AsyncOpenAI) -> None:
        completion = await client.completions.create(model=MODEL, prompt=["a", "b"], best_of=3, n=2)
        assert [(c.index, c.text, c.finish_reason, c.logprobs) for c in completion.choices] == [
            (0, "a1 ", "length", None),
            (1, "a0 a0 ", "stop", None),
            (2, "b1 ", "length", None),
            (3, "b0 b0 ", "stop", None),
        ]
        assert completion.usage is not None
        assert completion.usage.completion_tokens == 60

    first, second = run(scenario, script)
    assert (first.n, first.logprobs, second.n) == (3, 0, 3)


def test_best_of_has_the_logprobs_that_were_requested() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        completion = await client.completions.create(model=MODEL, prompt="a", best_of=2, logprobs=3)
        (choice,) = completion.choices
        assert (choice.index, choice.text) == (0, TEXT)
        assert choice.logprobs is not None

    (request,) = run(scenario)
    assert (request.n, request.logprobs) == (2, 3)


def test_a_suffix_is_filled_up_to_by_models_with_insert() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        create = client.completions.create
        assert (await create(model=MODEL, prompt="a", suffix="b")).choices[0].text == TEXT
        await create(model=MODEL, prompt=["a", ""], suffix="b")

    async def refused(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as error:
            await client.completions.create(model=MODEL, prompt="a", suffix="b")
        assert (error.value.param, error.value.code) == ("suffix", "unsupported")

    requests = run(scenario, capabilities=("completion", "insert"))
    assert [request.prompt.kind for request in requests] == ["infill"] * 3
    assert requests[0].prompt == InfillPrompt(prefix="a", suffix="b")
    assert run(refused) == []


def test_stored_completions_are_refused_by_name() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        stored = client.chat.completions
        for request in (
            stored.list(),
            stored.retrieve("chatcmpl-1"),
            stored.update("chatcmpl-1", metadata={}),
            stored.delete("chatcmpl-1"),
            stored.messages.list("chatcmpl-1"),
        ):
            with pytest.raises(openai.InternalServerError) as error:
                await request
            assert (error.value.status_code, error.value.code) == (501, "not_implemented")

    run(scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_an_echo_begins_with_the_prompt_and_its_logprobs(stream: bool) -> None:
    prompt = tuple(
        PromptToken(token=text, bytes=tuple(text.encode()), logprob=value)
        for text, value in (("ab", None), ("c", -1.5))
    )
    generated = TokenLogprob(token="d", bytes=(100,), logprob=-0.5)
    script = events(
        started(),
        PromptTokens(text="ab", tokens=prompt[:1]),
        PromptTokens(text="c", tokens=prompt[1:]),
        Text(text="d", logprobs=(generated,)),
        finished(1),
    )

    async def scenario(client: openai.AsyncOpenAI) -> None:
        create = client.completions.create
        text, values, offsets = "", [], []
        if stream:
            chunks = [
                chunk
                async for chunk in await create(
                    model=MODEL, prompt=[1, 2], echo=True, logprobs=0, max_tokens=1, stream=True
                )
            ]
            choices = [choice for chunk in chunks for choice in chunk.choices]
        else:
            completion = await create(
                model=MODEL, prompt=[1, 2], echo=True, logprobs=0, max_tokens=1
            )
            choices = completion.choices
        for choice in choices:
            text += choice.text
            if choice.logprobs is not None:
                values += choice.logprobs.token_logprobs or []
                offsets += choice.logprobs.text_offset or []
        assert (text, values, offsets) == ("abcd", [None, -1.5, -0.5], [0, 2, 3])

    (request,) = run(scenario, script)
    assert (request.echo, request.logprobs) == (True, 0)


def test_models_are_listed_and_retrieved_by_any_name() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        models = [model async for model in client.models.list()]
        assert [(m.id, m.object, m.owned_by) for m in models] == [(MODEL, "model", "sizeup")]
        assert (await client.models.retrieve(HUB_ID)).id == HUB_ID
        async with httpx.AsyncClient() as http:
            for spelled in (HUB_ID, HUB_ID.replace("/", "%2F")):
                completion = await http.get(f"{client.base_url}models/{spelled}")
                assert (completion.status_code, completion.json()["id"]) == (200, HUB_ID)
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.models.retrieve("unknown/nothing")
        assert unknown.value.code == "model_not_found"

    run(scenario)


def test_errors_are_raised_by_their_class() -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        create = client.chat.completions.create
        with pytest.raises(openai.NotFoundError) as unknown:
            await create(model="unknown", messages=MESSAGES)
        assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.BadRequestError) as bad:
            await create(model=MODEL, messages=MESSAGES, temperature=3)
        assert bad.value.param == "temperature"
        with pytest.raises(openai.RateLimitError) as busy:
            await create(model=MODEL, messages=MESSAGES)
        assert busy.value.response.headers["retry-after"] == "1"

    run(scenario, refusing(ErrorCode.BUSY, 503))


def test_an_upstream_error_names_the_field_of_the_request() -> None:
    too_long = ErrorCode.CONTEXT_LENGTH_EXCEEDED

    async def chat(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as error:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        assert (error.value.code, error.value.param) == ("context_length_exceeded", "messages")

    async def completion(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as error:
            await client.completions.create(model=MODEL, prompt="x")
        assert (error.value.code, error.value.param) == ("context_length_exceeded", "prompt")

    async def sampling(client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as error:
            await client.completions.create(model=MODEL, prompt="x")
        assert error.value.param == "logit_bias"

    run(chat, refusing(too_long, 400, param="prompt"))
    run(completion, refusing(too_long, 400, param="prompt"))
    run(sampling, refusing(ErrorCode.INVALID_REQUEST, 400, param="sampling.logit_bias"))


@pytest.mark.parametrize(
    "broken",
    [
        events(started(), Text(text="one")),
        events(started(), Text(text="one"), Failed(code=ErrorCode.INTERNAL, message="broken")),
    ],
)
def test_an_interrupted_stream_raises(broken: Script) -> None:
    async def scenario(client: openai.AsyncOpenAI) -> None:
        texts: list[str] = []
        stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError):  # noqa: PT012 - raised while reading
            async for chunk in stream:
                texts.append(chunk.choices[0].delta.content or "")
        assert texts == ["", "one"]

    run(scenario, broken)


def test_a_client_that_retries_succeeds_after_a_full_queue() -> None:
    async def whole() -> None:
        async with fake_inference(refusing(ErrorCode.BUSY, 503)) as fake:
            async with running_gateway(fake) as gateway:

                async def recover(_request: httpx.Request) -> None:
                    if fake.requests:
                        fake.script = responding_with("ok")

                http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [recover]})
                client = openai.AsyncOpenAI(
                    base_url=f"{gateway.url}/v1", api_key="none", http_client=http
                )
                async with client:
                    completion = await client.chat.completions.create(
                        model=MODEL, messages=MESSAGES
                    )
            assert completion.choices[0].message.content == "ok"
            assert len(fake.requests) == 2

    asyncio.run(whole())
