"""The official clients while a model loads."""

import asyncio
from collections.abc import Awaitable, Callable

import ollama
import openai

from gateway.fake_inference import TOKENS, FakeInference, fake_inference, model_info
from gateway.harness import KEY, MODEL, Gateway, catalog, running_gateway, until

TEXT = "".join(TOKENS)
MESSAGES = [{"role": "user", "content": "hi"}]
Scenario = Callable[[FakeInference, Gateway], Awaitable[None]]


def loading(scenario: Scenario) -> None:
    async def run() -> None:
        async with fake_inference() as replica:
            replica.ready, replica.state, replica.described = False, "loading", model_info()
            models = catalog(replica.url)
            async with running_gateway(models=models, wait=False) as gateway:
                await until(lambda: replica.probes > 1)
                await scenario(replica, gateway)

    asyncio.run(run())


def queued(gateway: Gateway) -> float:
    return gateway.sample("requests_queued", model=KEY)


def test_ollama_run_right_after_the_start() -> None:
    """As the command line does it: show, load, chat."""

    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        async with ollama.AsyncClient(host=gateway.url) as client:
            shown = await client.show(MODEL)
            assert shown.capabilities == ["completion", "tools"]
            load = asyncio.create_task(client.generate(MODEL))
            chat = asyncio.create_task(client.chat(MODEL, MESSAGES))
            await until(lambda: queued(gateway) == 2)
            replica.ready = True
            assert (await load).done_reason == "load"
            answer = await chat
            assert answer.message.content == TEXT
            assert answer.load_duration is not None
            assert answer.load_duration > 1_000_000

    loading(scenario)


def test_lists_are_complete_while_a_model_loads() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        async with ollama.AsyncClient(host=gateway.url) as client:
            (before,) = (await client.list()).models
            assert before.details is not None
            assert all([before.size, before.digest, before.modified_at, before.details.family])
            assert before.details.parameter_size == "494.03M"
            (process,) = (await client.ps()).models
            assert all([process.size, process.digest, process.context_length])
            replica.ready = True
            await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)
            assert (await client.list()).models == [before]

    loading(scenario)


def test_openai_waits_and_streams() -> None:
    async def scenario(replica: FakeInference, gateway: Gateway) -> None:
        base_url = f"{gateway.url}//v1/"  # one slash too many
        async with openai.AsyncOpenAI(base_url=base_url, api_key="x", max_retries=0) as client:
            pending = asyncio.create_task(
                client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": "hi"}], stream=True
                )
            )
            await until(lambda: queued(gateway) == 1)
            replica.ready = True
            text = "".join([c.choices[0].delta.content or "" async for c in await pending])
            assert text == TEXT

    loading(scenario)
