"""Requests by a virtual name, and requests that a smaller size serves."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.fake_inference import responding_with
from gateway.sizes import FAMILY, Sizes, name_of, running_sizes

SMALL, LARGE = name_of(0.5), name_of(7)
MESSAGES = [{"role": "user", "content": "hi"}]
PATHS = pytest.mark.parametrize(
    "path", ["/api/chat", "/v1/chat/completions", "/v1/responses", "/v1/messages"]
)


def body(model: str, *, stream: bool = False) -> dict[str, Any]:
    """Return a body for every path: fields of other APIs are ignored."""
    fields = {"messages": MESSAGES, "input": MESSAGES, "max_tokens": 9}
    return {"model": model, "stream": stream, **fields}


def serving(scenario: Callable[[Sizes], Awaitable[None]], **changes: Any) -> None:
    async def run() -> None:
        scripts = {size: responding_with("4") for size in (0.5, 7)}
        async with running_sizes(scripts, **changes) as sizes:
            await scenario(sizes)

    asyncio.run(run())


@PATHS
@pytest.mark.parametrize("stream", [False, True])
def test_the_response_says_which_size_served(path: str, stream: bool) -> None:
    async def scenario(sizes: Sizes) -> None:
        request = body(f"{FAMILY}:largest-ready", stream=stream)
        status, headers, text = await sizes.gateway.post(path, request)
        assert status == 200
        assert headers["X-Sizeup-Model"] == LARGE
        assert f'"model":"{LARGE}"' in text
        counted = {"tag": "largest-ready", "model": sizes.key(LARGE)}
        assert sizes.gateway.sample("virtual_names_total", **counted) == 1

    serving(scenario)


@PATHS
def test_a_plain_name_is_repeated_as_it_was_written(path: str) -> None:
    async def scenario(sizes: Sizes) -> None:
        _, headers, text = await sizes.gateway.post(path, body("Qwen/qwen2.5-7b"))
        assert json.loads(text)["model"] == "Qwen/qwen2.5-7b"
        assert headers["X-Sizeup-Model"] == LARGE

    serving(scenario)


@PATHS
@pytest.mark.parametrize(
    ("setting", "header", "status"),
    [
        ("none", {}, 503),
        ("none", {"X-Sizeup-Fallback": "smaller"}, 200),
        ("smaller", {}, 200),
        ("smaller", {"X-Sizeup-Fallback": "none"}, 503),
        ("none", {"X-Sizeup-Fallback": "bigger"}, 400),
    ],
)
def test_a_smaller_size_serves_where_the_client_or_the_operator_asks(
    path: str, setting: str, header: dict[str, str], status: int
) -> None:
    async def scenario(sizes: Sizes) -> None:
        found, headers, text = await sizes.gateway.post(path, body(LARGE), **header)
        assert found == status
        served = {"model": sizes.key(SMALL), "instead_of": sizes.key(LARGE)}
        assert sizes.gateway.sample("fallbacks_total", **served) == (status == 200)
        if status == 200:
            assert headers["X-Sizeup-Model"] == json.loads(text)["model"] == SMALL

    serving(scenario, cold=[7], fallback=setting, queue_while_loading=False)


def test_describing_a_model_falls_back_to_none() -> None:
    async def scenario(sizes: Sizes) -> None:
        _, listed = await sizes.gateway.get(f"/v1/models/{LARGE}")
        assert listed["state"] != "ready"
        status, described = await sizes.gateway.get(f"/v1/models/{FAMILY}:smallest")
        assert (status, described["state"]) == (200, "ready")

    serving(scenario, cold=[7], fallback="smaller")
