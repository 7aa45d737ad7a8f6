"""Comparisons that are stopped, cut off or too many."""

import asyncio
import json

import pytest

from gateway.api.compare.comparing import LARGE, MIDDLE, PROMPT, SMALL, comparing, endless
from gateway.fake_inference import (
    responding_with,
)
from gateway.harness import until
from gateway.routing.test_cancellation import disconnect
from gateway.sizes import Sizes


@pytest.mark.parametrize("path", ["/api/compare", "/v1/compare"])
def test_a_disconnect_cancels_every_size(path: str) -> None:
    async def scenario(sizes: Sizes) -> None:
        replicas = sizes.replicas.values()
        await disconnect(sizes.gateway, path, PROMPT, lambda: all(r.live for r in replicas))
        await until(lambda: all(r.cancelled for r in sizes.replicas.values()))
        await until(
            lambda: (
                sizes.gateway.sample(
                    "requests_total",
                    model=sizes.key(LARGE),
                    route=path,
                    outcome="cancelled",
                )
                == 1
            )
        )

    comparing(scenario, endless, endless, endless)


def test_one_size_is_stopped() -> None:
    async def scenario(sizes: Sizes) -> None:
        url = sizes.gateway.url + "/api/compare"
        async with sizes.gateway.http.post(url, json=PROMPT) as response:
            lines = [json.loads(await response.content.readline())]
            while lines[-1].get("message", {}).get("content") != "so far":
                lines.append(json.loads(await response.content.readline()))
            stop = {"id": lines[0]["compare"]["id"], "model": MIDDLE.upper()}
            status, _, body = await sizes.gateway.post("/api/compare/stop", stop)
            assert (status, json.loads(body)) == (200, {"stopped": 1})
            rest = [json.loads(line) async for line in response.content]
        (end,) = [c for c in rest if c.get("model") == MIDDLE and c["done"]]
        assert end["done_reason"] == "cancelled"
        assert end["text"] == "so far"
        assert end["figures"]["tokens"] == 1
        assert rest[-1]["compare"]["cancelled"] == 1
        await until(lambda: sizes.replicas[MIDDLE].cancelled == 1)
        status, _, _ = await sizes.gateway.post("/api/compare/stop", stop)
        assert status == 404

    comparing(scenario, responding_with("4"), endless, responding_with("4"))


def test_a_size_that_waits_for_its_turn_is_stopped_before_it_begins() -> None:
    async def scenario(sizes: Sizes) -> None:
        url = sizes.gateway.url + "/api/compare"
        body = PROMPT | {"one_at_a_time": True}
        async with sizes.gateway.http.post(url, json=body) as response:
            lines = [json.loads(await response.content.readline())]
            while lines[-1].get("message", {}).get("content") != "so far":
                lines.append(json.loads(await response.content.readline()))
            for model in (LARGE, SMALL):
                stop = {"id": lines[0]["compare"]["id"], "model": model}
                status, _, _ = await sizes.gateway.post("/api/compare/stop", stop)
                assert status == 200
            rest = [json.loads(line) async for line in response.content]
        assert rest[-1]["compare"]["cancelled"] == 2
        assert rest[-1]["compare"]["answered"] == 1
        assert sizes.replicas[LARGE].requests == []

    comparing(scenario, endless, responding_with("4"), responding_with("4"))


def test_comparisons_leave_room_for_other_requests() -> None:
    async def scenario(sizes: Sizes) -> None:
        over = asyncio.Event()
        first = asyncio.create_task(disconnect(sizes.gateway, "/api/compare", PROMPT, over.is_set))
        await until(lambda: sizes.replicas[LARGE].live == 1)
        status, headers, _ = await sizes.gateway.post("/api/compare", PROMPT)
        assert status == 503
        assert "Retry-After" in headers
        over.set()
        await first
        await until(lambda: not sizes.replicas[LARGE].live)

    comparing(scenario, endless, endless, endless, max_compare_answers=4)
