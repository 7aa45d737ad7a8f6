"""A client over its limit, seen by the official clients."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import ollama
import openai
import pytest

from gateway.fake_inference import fake_inference
from gateway.harness import MODEL, Gateway, running_gateway

MESSAGES: Any = [{"role": "user", "content": "hi"}]

Scenario = Callable[[Gateway], Awaitable[None]]


def limited(scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        async with fake_inference() as fake, running_gateway(fake, **settings) as gateway:
            await scenario(gateway)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("setting", "kind"),
    [({"requests_per_minute": 1}, "requests"), ({"tokens_per_minute": 1}, "tokens")],
)
def test_openai(setting: dict[str, int], kind: str) -> None:
    async def scenario(gateway: Gateway) -> None:
        base = gateway.url + "/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="x", max_retries=0) as client:
            raw = await client.chat.completions.with_raw_response.create(
                model=MODEL, messages=MESSAGES
            )
            assert int(raw.headers[f"x-ratelimit-limit-{kind}"]) == 1
            with pytest.raises(openai.RateLimitError) as raised:
                await client.chat.completions.create(model=MODEL, messages=MESSAGES)
            error = raised.value
            assert (error.type, error.code) == (kind, "rate_limit_exceeded")
            assert int(error.response.headers["retry-after"]) >= 1

    limited(scenario, **setting)


def test_ollama() -> None:
    async def scenario(gateway: Gateway) -> None:
        async with ollama.AsyncClient(host=gateway.url) as client:
            await client.chat(MODEL, MESSAGES)
            with pytest.raises(ollama.ResponseError) as raised:
                await client.chat(MODEL, MESSAGES)
            assert raised.value.status_code == 429
            assert raised.value.error

    limited(scenario, requests_per_minute=1)


def test_anthropic() -> None:
    async def scenario(gateway: Gateway) -> None:
        async with anthropic.AsyncAnthropic(
            base_url=gateway.url, api_key="x", max_retries=0
        ) as client:
            await client.messages.create(model=MODEL, messages=MESSAGES, max_tokens=9)
            with pytest.raises(anthropic.RateLimitError) as raised:
                await client.messages.create(model=MODEL, messages=MESSAGES, max_tokens=9)
            assert isinstance(raised.value.body, dict)
            assert raised.value.body["error"]["type"] == "rate_limit_error"

    limited(scenario, requests_per_minute=1)


def test_a_client_that_retries_is_served_after_the_time_in_retry_after() -> None:
    async def scenario(gateway: Gateway) -> None:
        base = gateway.url + "/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="x", max_retries=2) as client:
            for _ in range(61):  # a second's requests more than there are at once
                await client.chat.completions.create(model=MODEL, messages=MESSAGES)

    limited(scenario, requests_per_minute=60)
