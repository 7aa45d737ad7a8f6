"""POST /api/compare: every size answers in one stream."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.api.compare.compare_client import compare
from gateway.api.compare.comparing import LARGE, MIDDLE, PROMPT, SMALL, comparing
from gateway.fake_inference import (
    Script,
    events,
    finished,
    refusing,
    responding_with,
    started,
)
from gateway.harness import until
from gateway.sizes import FAMILY, Sizes, running_sizes
from sizeup_wire.catalog import Price
from sizeup_wire.errors import ErrorCode
from sizeup_wire.events import Event, FinishReason, Text, ToolCall
from sizeup_wire.generate import ChatPrompt, GenerateRequest


def test_every_size_answers_in_its_own_chunks() -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        assert [m["model"] for m in found.begin["models"]] == [SMALL, MIDDLE, LARGE]
        assert [m["state"] for m in found.begin["models"]] == ["ready"] * 3
        assert [found.text(name) for name in sizes.names] == ["5", "4", "It is 4"]
        for name in sizes.names:
            assert found.statuses(name) == ["queued", "generating"]
            end = found.end(name)
            assert end["done_reason"] == "stop"
            assert end["text"] == found.text(name)
            assert end["eval_count"] == end["figures"]["tokens"] == 2
            assert end["figures"]["ttft_seconds"] > 0
            assert end["figures"]["cost"] is None
        assert found.summary["answered"] == 3
        assert found.summary["agreement"] == {"largest": LARGE, "same": [LARGE], "smallest": LARGE}
        assert found.chunks[-1]["done"] is True
        assert all("created_at" in chunk for chunk in found.chunks)

    comparing(
        scenario, responding_with("5", ""), responding_with("4", ""), responding_with("It is", " 4")
    )


def test_all_get_the_same_request() -> None:
    async def scenario(sizes: Sizes) -> None:
        body = PROMPT | {"system": "Be brief.", "options": {"temperature": 0.2, "num_predict": 9}}
        found = await compare(sizes.gateway, body)
        (small,), (middle,), (large,) = (r.requests for r in sizes.replicas.values())
        assert small == middle == large
        assert small.seed == found.begin["seed"]
        assert small.max_tokens == 9
        assert isinstance(small.prompt, ChatPrompt)
        assert [m.role for m in small.prompt.messages] == ["system", "user"]

    comparing(scenario, *[responding_with("4")] * 3)


def test_each_size_gets_its_own_history() -> None:
    async def scenario(sizes: Sizes) -> None:
        history = {
            SMALL: [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ha"}],
            "Qwen/qwen2.5-7b": [{"role": "user", "content": "Ho"}],
        }
        await compare(sizes.gateway, PROMPT | {"history": history, "system": "S"})
        contents = [
            [m.content for m in replica.requests[0].prompt.messages]  # type: ignore[union-attr]
            for replica in sizes.replicas.values()
        ]
        asked = "What is 2 + 2?"
        assert contents == [["S", "Hi", "Ha", asked], ["S", asked], ["S", "Ho", asked]]

    comparing(scenario, *[responding_with("4")] * 3)


def test_samples_have_consecutive_seeds() -> None:
    async def scenario(sizes: Sizes) -> None:
        body = PROMPT | {"samples": 3, "options": {"seed": 40}, "models": [SMALL], "family": None}
        found = await compare(sizes.gateway, body)
        requests = sizes.replicas[SMALL].requests
        assert sorted(request.seed or 0 for request in requests) == [40, 41, 42]
        assert {request.n for request in requests} == {1}
        assert [found.text(SMALL, sample) for sample in range(3)] == ["4"] * 3
        assert found.summary["answered"] == 3

    comparing(scenario, *[responding_with("4")] * 3)


def test_one_at_a_time_in_ascending_order() -> None:
    order: list[int] = []

    def noting(size: int) -> Script:
        async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
            order.append(size)
            yield started()
            yield Text(text="4")
            yield finished(1)
            order.append(-size)

        return script

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT | {"one_at_a_time": True})
        assert order == [1, -1, 2, -2, 3, -3]
        assert [found.end(name)["figures"]["at_once"] for name in sizes.names] == [1, 1, 1]
        assert found.statuses(LARGE) == ["waiting", "queued", "generating"]

    comparing(scenario, noting(1), noting(2), noting(3))


def test_figures_say_how_many_generated_at_once() -> None:
    everyone = asyncio.Barrier(3)

    async def together(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        await everyone.wait()
        yield Text(text="4")
        yield finished(1)

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        assert [found.end(name)["figures"]["at_once"] for name in sizes.names] == [3, 3, 3]

    comparing(scenario, together, together, together)


def test_without_streaming_it_is_one_object() -> None:
    async def scenario(sizes: Sizes) -> None:
        status, headers, text = await sizes.gateway.post("/api/compare", PROMPT | {"stream": False})
        body = json.loads(text)
        assert status == 200
        assert headers["content-type"].startswith("application/json")
        assert [r["model"] for r in body["responses"]] == sizes.names
        small, middle, large = body["responses"]
        assert small["message"]["content"] == small["text"] == "Hello, you"
        assert small["figures"]["tokens"] == 2
        assert middle["failure"]["code"] == "internal"
        assert large["text"] == "4"
        assert body["compare"]["answered"] == 2
        assert body["compare"]["seed"] == sizes.replicas[SMALL].requests[0].seed

    comparing(
        scenario,
        responding_with("Hello, ", "you"),
        refusing(ErrorCode.INTERNAL, 500),
        responding_with("4"),
    )


def test_a_price_makes_a_cost() -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        cost = found.end(SMALL)["figures"]["cost"]
        seconds = (342_546_000 + 4_535_599_000) / 1e9
        assert cost == {"amount": pytest.approx(3.6 * seconds / 3600), "currency": "EUR"}

    price = Price(per_hour=3.6, currency="EUR")
    comparing(scenario, *[responding_with("4")] * 3, price=price)


def test_metrics_count_every_answer_and_the_whole() -> None:
    async def scenario(sizes: Sizes) -> None:
        await compare(sizes.gateway, PROMPT)
        for model, outcome in ((SMALL, "ok"), (MIDDLE, "ok"), (LARGE, "internal")):
            labels = {"model": sizes.key(model), "route": "/api/compare", "outcome": outcome}
            assert sizes.gateway.sample("requests_total", **labels) == 1
        whole = {"model": "several", "route": "/api/compare", "outcome": "ok"}
        await until(lambda: sizes.gateway.sample("requests_total", **whole) == 1)
        tokens = sizes.gateway.sample("completion_tokens_total", model=sizes.key(SMALL))
        assert tokens == 1
        assert sizes.gateway.sample("requests_in_flight", model=sizes.key(SMALL)) == 0

    comparing(
        scenario, responding_with("4"), responding_with("4"), refusing(ErrorCode.INTERNAL, 500)
    )


@pytest.mark.parametrize("path", ["/api/compare", "/v1/compare"])
def test_twelve_sizes_at_once(path: str) -> None:
    async def run() -> None:
        scripts = {billions / 10: responding_with("4", ".") for billions in range(1, 13)}
        async with running_sizes(scripts) as sizes:
            found = await compare(sizes.gateway, PROMPT | {"samples": 2}, path)
            assert [m["model"] for m in found.begin["models"]] == sizes.names
            assert found.summary["answered"] == 24
            assert found.summary["agreement"]["smallest"] == sizes.names[0]

    asyncio.run(run())


def test_virtual_names_are_sizes_too() -> None:
    async def scenario(sizes: Sizes) -> None:
        body = {"models": [f"{FAMILY}:largest", f"{FAMILY}:smallest"], "prompt": "x"}
        found = await compare(sizes.gateway, body)
        assert [m["model"] for m in found.begin["models"]] == [SMALL, LARGE]

    comparing(scenario, *[responding_with("4")] * 3)


def test_sizes_are_listed_ascending_with_their_state() -> None:
    async def scenario(sizes: Sizes) -> None:
        sizes.replicas[LARGE].state = "loading"
        await until(lambda: sizes.replicas[LARGE].probes > 2)
        status, body = await sizes.gateway.get("/api/sizes")
        assert status == 200
        assert [m["model"] for m in body["models"]] == sizes.names
        assert [m["state"] for m in body["models"]] == ["ready", "ready", "loading"]
        assert {m["family"] for m in body["models"]} == {FAMILY}
        assert body["models"][0]["parameters"] == 500_000_000
        assert body["models"][2]["progress"] == 0.5
        assert body["models"][0]["price"] is None

    comparing(scenario, *[responding_with("4")] * 3, cold=[7])


def test_the_length_limit_is_a_reason_of_its_own() -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        assert found.end(SMALL)["done_reason"] == "length"

    cut = responding_with("4", reason=FinishReason.LENGTH)
    comparing(scenario, cut, responding_with("4"), responding_with("4"))


def test_tool_calls_are_compared_and_empty_answers_are_not() -> None:
    def calling(city: str) -> Script:
        return events(
            started(),
            ToolCall(index=0, id=city, name="weather", arguments={"c": city}),
            finished(9),
        )

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        assert found.summary["answered"] == 3
        assert found.summary["agreement"] == {
            "largest": MIDDLE,
            "same": [MIDDLE],
            "smallest": MIDDLE,
        }

    comparing(scenario, calling("Rome"), calling("Oslo"), events(started(), finished(1)))
