"""One gateway, one replica, and the official OpenAI client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import openai
from openai.types.chat import ChatCompletionMessageParam

from gateway.fake_inference import (
    TOKENS,
    Script,
    fake_inference,
    model_info,
)
from gateway.harness import running_gateway
from sizeup_wire.generate import GenerateRequest

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
TEXT = "".join(TOKENS)
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]

Scenario = Callable[[openai.AsyncOpenAI], Awaitable[None]]


def run(scenario: Scenario, script: Script | None = None, **info: Any) -> list[GenerateRequest]:
    async def whole() -> list[GenerateRequest]:
        async with fake_inference(script, model_info(**info)) as fake:
            async with running_gateway(fake) as gateway:
                client = openai.AsyncOpenAI(
                    base_url=f"{gateway.url}/v1", api_key="none", max_retries=0
                )
                async with client:
                    await scenario(client)
            return fake.requests

    return asyncio.run(whole())
