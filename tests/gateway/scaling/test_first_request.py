"""A model that was never up: its first request means what its second means."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_inference import FakeInference, model_info
from gateway.harness import KEY, MODEL, Gateway
from gateway.orchestra import Orchestra, gateway_on, orchestra
from sizeup_wire.generate import ChatMessage, ChatPrompt, Prompt, TextPrompt, ThinkingMode
from sizeup_wire.model import ModelInfo

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": False,
}
GENERATE: dict[str, Any] = {"model": MODEL, "prompt": "hi", "system": "be brief", "stream": False}
TOOL = {"type": "function", "function": {"name": "f"}}
THINKING = model_info(capabilities=("completion", "thinking"))
BASE = model_info(capabilities=("completion",), template="")
Scenario = Callable[[Orchestra, Gateway], Awaitable[None]]


def starting(folder: Path, info: ModelInfo, scenario: Scenario) -> None:
    """Start a model of this description when it is asked for."""

    async def run() -> None:
        async with orchestra() as made, gateway_on(made, folder) as gateway:

            async def start(_deployment: str, _replicas: int) -> None:
                await made.add_pod(FakeInference(info=info))

            made.cluster.on_scale = start
            await scenario(made, gateway)

    asyncio.run(run())


def chat(*, thinking: ThinkingMode) -> ChatPrompt:
    return ChatPrompt(messages=(ChatMessage(role="user", content="hi"),), thinking=thinking)


@pytest.mark.parametrize(
    ("path", "body", "info", "prompt"),
    [
        (
            "/v1/chat/completions",
            CHAT | {"reasoning_effort": "none"},
            THINKING,
            chat(thinking="off"),
        ),
        (
            "/v1/chat/completions",
            CHAT | {"chat_template_kwargs": {"enable_thinking": False}},
            THINKING,
            chat(thinking="off"),
        ),
        ("/api/chat", CHAT | {"think": True}, THINKING, chat(thinking="on")),
        ("/api/generate", GENERATE, BASE, TextPrompt(text="be brief\n\nhi")),
    ],
)
def test_it_is_translated_for_the_model_that_came(
    tmp_path: Path, path: str, body: dict[str, Any], info: ModelInfo, prompt: Prompt
) -> None:
    async def scenario(made: Orchestra, gateway: Gateway) -> None:
        assert (await gateway.post(path, body))[0] == 200
        assert (await gateway.post(path, body))[0] == 200
        cold, warm = made.pod.requests
        assert cold == warm
        assert cold.prompt == prompt

    starting(tmp_path, info, scenario)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/chat", CHAT | {"think": True}, "does not support thinking"),
        ("/api/chat", CHAT | {"tools": [TOOL]}, "does not support tools"),
        ("/v1/chat/completions", CHAT | {"tools": [TOOL]}, "does not support tools"),
        ("/api/generate", GENERATE | {"context": [1]}, "context needs a model with a chat"),
    ],
)
def test_what_the_model_cannot_do_is_refused_in_the_same_words(
    tmp_path: Path, path: str, body: dict[str, Any], words: str
) -> None:
    async def scenario(made: Orchestra, gateway: Gateway) -> None:
        cold, _, first = await gateway.post(path, body)
        warm, _, second = await gateway.post(path, body)
        assert (cold, warm) == (400, 400)
        assert first == second
        assert words in first
        assert made.pod.requests == []

    starting(tmp_path, BASE, scenario)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT | {"top_logprobs": 2}),
        ("/v1/completions", {"model": MODEL, "prompt": "a", "best_of": 2}),
        ("/api/generate", GENERATE | {"raw": True}),
    ],
)
def test_what_no_model_can_do_is_refused_before_anybody_waits(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    async def scenario(made: Orchestra, gateway: Gateway) -> None:
        assert (await gateway.post(path, body))[0] == 400
        assert made.cluster.writes == []
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 0

    starting(tmp_path, BASE, scenario)
