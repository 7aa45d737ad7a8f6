"""A model that was never ready: its first request is translated like every later one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.fake_deployment import FakeDeployment, fake_deployment, gateway_on
from gateway.fake_inference import FakeInference, model_info
from gateway.harness import KEY, MODEL, Gateway
from sizeup_wire.generate import AutoPrompt, ChatMessage, ChatPrompt, Prompt, ThinkingMode
from sizeup_wire.model import ModelInfo

CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "hi"}],
    "stream": False,
}
GENERATE: dict[str, Any] = {"model": MODEL, "prompt": "hi", "system": "be brief", "stream": False}
TOOL = {"type": "function", "function": {"name": "f"}}
THINKING = model_info(capabilities=("completion", "thinking"))
PLAIN = model_info(capabilities=("completion",))
BASE = model_info(capabilities=("completion",), template="")
Scenario = Callable[[FakeDeployment, Gateway], Awaitable[None]]


def activating(folder: Path, info: ModelInfo, scenario: Scenario) -> None:
    """Run a scenario in which the first request starts a model with this info."""

    async def run() -> None:
        async with fake_deployment() as deployment, gateway_on(deployment, folder) as gateway:

            async def start(_deployment: str, _replicas: int) -> None:
                await deployment.add_pod(FakeInference(info=info))

            deployment.cluster.on_scale = start
            await scenario(deployment, gateway)

    asyncio.run(run())


def chat(thinking: ThinkingMode) -> ChatPrompt:
    return ChatPrompt(messages=(ChatMessage(role="user", content="hi"),), thinking=thinking)


@pytest.mark.parametrize(
    ("path", "body", "info", "prompt"),
    [
        ("/v1/chat/completions", CHAT | {"reasoning_effort": "none"}, PLAIN, chat("off")),
        ("/v1/chat/completions", CHAT | {"reasoning_effort": "low"}, PLAIN, chat("if_supported")),
        (
            "/v1/chat/completions",
            CHAT | {"chat_template_kwargs": {"enable_thinking": False}},
            THINKING,
            chat("off"),
        ),
        ("/api/chat", CHAT | {"think": True}, THINKING, chat("on")),
        ("/api/generate", GENERATE, BASE, AutoPrompt(text="hi", system="be brief")),
    ],
)
def test_first_and_later_requests_are_translated_alike(
    tmp_path: Path, path: str, body: dict[str, Any], info: ModelInfo, prompt: Prompt
) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        assert (await gateway.post(path, body))[0] == 200
        assert (await gateway.post(path, body))[0] == 200
        cold, warm = deployment.pod.requests
        assert cold == warm
        assert cold.prompt == prompt

    activating(tmp_path, info, scenario)


@pytest.mark.parametrize(
    ("path", "body", "info", "error"),
    [
        ("/api/chat", CHAT | {"think": True}, PLAIN, f'"{MODEL}" does not support thinking'),
        ("/api/generate", GENERATE | {"think": True}, BASE, f'"{MODEL}" does not support thinking'),
        ("/api/chat", CHAT | {"tools": [TOOL]}, PLAIN, f'"{MODEL}" does not support tools'),
        (
            "/v1/chat/completions",
            CHAT | {"tools": [TOOL]},
            PLAIN,
            {
                "message": f'"{MODEL}" does not support tools',
                "type": "invalid_request_error",
                "param": "tools",
                "code": "unsupported",
            },
        ),
        (
            "/api/generate",
            GENERATE | {"context": [1]},
            BASE,
            "context requires a model with a chat template",
        ),
    ],
)
def test_missing_features_are_reported_under_the_name_that_the_client_used(
    tmp_path: Path, path: str, body: dict[str, Any], info: ModelInfo, error: object
) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        cold, _, first = await gateway.post(path, body)
        warm, _, second = await gateway.post(path, body)
        assert (cold, warm) == (400, 400)
        assert first == second
        assert json.loads(first) == {"error": error}
        assert deployment.pod.requests == []

    activating(tmp_path, info, scenario)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT | {"top_logprobs": 2}),
        ("/v1/completions", {"model": MODEL, "prompt": "a", "n": 3, "best_of": 2}),
        ("/api/generate", GENERATE | {"raw": True}),
    ],
)
def test_invalid_requests_are_rejected_without_activating_the_model(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        assert (await gateway.post(path, body))[0] == 400
        assert deployment.cluster.writes == []
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 0

    activating(tmp_path, BASE, scenario)
