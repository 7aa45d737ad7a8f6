"""POST /api/compare: every size answers in one stream, whatever happens to the others."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.api.compare.compare_client import compare
from gateway.fake_inference import (
    KillConnection,
    Refusal,
    Script,
    finished,
    refusing,
    responding_with,
    started,
)
from gateway.harness import until
from gateway.routing.test_cancellation import disconnect
from gateway.sizes import FAMILY, Sizes, name_of, running_sizes
from sizeup_wire.catalog import Price
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Event, Failed, FinishReason, Text
from sizeup_wire.generate import ChatPrompt, GenerateRequest

SMALL, MIDDLE, LARGE = name_of(0.5), name_of(3), name_of(7)
PROMPT: dict[str, Any] = {"family": FAMILY, "prompt": "What is 2 + 2?"}
Scenario = Callable[[Sizes], Awaitable[None]]


def comparing(
    scenario: Scenario, small: Script, middle: Script, large: Script, **changes: Any
) -> None:
    async def run() -> None:
        async with running_sizes({0.5: small, 3: middle, 7: large}, **changes) as sizes:
            await scenario(sizes)

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sizeup_gateway.comparison.fan_out._LOOK_SECONDS", 0.02)
    monkeypatch.setattr("sizeup_gateway.comparison.fan_out._RETRY_SECONDS", 0.02)


def endless(request: GenerateRequest) -> AsyncIterator[Event | bytes]:
    async def script() -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="so far")
        await asyncio.Event().wait()

    return script()


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


def test_a_cold_size_says_what_it_waits_for() -> None:
    async def scenario(sizes: Sizes) -> None:
        cold = sizes.replicas[LARGE]
        cold.state = "downloading"
        comparison = asyncio.create_task(compare(sizes.gateway, PROMPT))
        await until(lambda: bool(sizes.replicas[SMALL].requests) and cold.probes > 2)
        cold.ready = True
        found = await comparison
        waiting = [chunk for chunk in found.of(LARGE) if chunk.get("status") == "downloading"]
        assert waiting[-1]["progress"] == 0.5
        assert found.statuses(LARGE)[-1] == "generating"
        assert found.text(LARGE) == "4"
        assert found.summary["answered"] == 3

    comparing(scenario, *[responding_with("4")] * 3, cold=[7])


def test_a_size_that_never_gets_ready_fails_at_the_deadline() -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        assert found.end(LARGE)["failure"]["code"] == "not_ready"
        assert (found.summary["answered"], found.summary["failed"]) == (2, 1)
        assert found.summary["agreement"]["largest"] == MIDDLE

    comparing(scenario, *[responding_with("4")] * 3, cold=[7], activation_seconds=0.3)


def test_a_dead_size_fails_at_once_and_alone() -> None:
    async def scenario(sizes: Sizes) -> None:
        sizes.replicas[SMALL].state = "failed"
        await until(lambda: sizes.replicas[SMALL].probes > 2)
        found = await compare(sizes.gateway, PROMPT)
        assert found.end(SMALL)["done_reason"] == "error"
        assert "has failed" in found.end(SMALL)["failure"]["message"]
        assert found.summary["answered"] == 2

    comparing(scenario, *[responding_with("4")] * 3, cold=[0.5])


def test_a_busy_size_is_tried_again() -> None:
    refusals = iter(range(2))

    async def busy_twice(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        if next(refusals, None) is not None:
            raise Refusal(503, Failure(code=ErrorCode.BUSY, message="full"))
        yield started()
        yield Text(text="4")
        yield finished(1)

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        assert "busy" in found.statuses(MIDDLE)
        assert found.text(MIDDLE) == "4"
        assert len(sizes.replicas[MIDDLE].requests) == 3

    comparing(scenario, responding_with("4"), busy_twice, responding_with("4"))


def test_a_size_that_stays_busy_fails_at_the_deadline() -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        assert found.end(MIDDLE)["failure"]["code"] == "busy"
        assert found.summary["answered"] == 2

    busy = refusing(ErrorCode.BUSY, 503)
    comparing(scenario, responding_with("4"), busy, responding_with("4"), activation_seconds=0.2)


def test_a_size_that_dies_in_the_middle_keeps_what_it_said() -> None:
    async def dying(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="The answer")
        raise KillConnection

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        end = found.end(LARGE)
        assert end["failure"]["code"] == "upstream_lost"
        assert end["text"] == "The answer"
        assert found.summary["answered"] == 2

    comparing(scenario, responding_with("4"), responding_with("4"), dying)


def test_an_error_of_a_size_is_in_the_clients_words() -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT | {"think": True})
        assert found.end(SMALL)["failure"]["message"] == f'"{SMALL}" does not support thinking'

    unsupported = refusing(ErrorCode.UNSUPPORTED, 400, param="prompt.thinking")
    comparing(scenario, unsupported, responding_with("4"), responding_with("4"))


def test_a_failure_during_generation_ends_that_answer() -> None:
    async def failing(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Failed(code=ErrorCode.INTERNAL, message="out of memory")

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT)
        assert found.end(SMALL)["failure"] == {"code": "internal", "message": "out of memory"}

    comparing(scenario, failing, responding_with("4"), responding_with("4"))


def test_a_disconnect_cancels_every_size() -> None:
    async def scenario(sizes: Sizes) -> None:
        replicas = sizes.replicas.values()
        await disconnect(
            sizes.gateway, "/api/compare", PROMPT, lambda: all(r.live for r in replicas)
        )
        await until(lambda: all(r.cancelled for r in sizes.replicas.values()))
        await until(
            lambda: (
                sizes.gateway.sample(
                    "requests_total",
                    model=sizes.key(LARGE),
                    route="/api/compare",
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
            stop = {"id": lines[0]["compare"]["id"], "model": MIDDLE}
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


def test_twelve_sizes_at_once() -> None:
    async def run() -> None:
        scripts = {billions / 10: responding_with("4", ".") for billions in range(1, 13)}
        async with running_sizes(scripts) as sizes:
            found = await compare(sizes.gateway, PROMPT | {"samples": 2})
            assert [m["model"] for m in found.begin["models"]] == sizes.names
            assert found.summary["answered"] == 24
            assert found.summary["agreement"]["smallest"] == sizes.names[0]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"prompt": "x"}, 400),
        ({"family": FAMILY}, 400),
        ({"family": FAMILY, "models": [SMALL], "prompt": "x"}, 400),
        ({"family": FAMILY, "prompt": "x", "messages": [{"role": "user", "content": "x"}]}, 400),
        ({"family": FAMILY, "messages": []}, 400),
        ({"models": [], "prompt": "x"}, 400),
        ({"models": [SMALL, "Qwen/qwen2.5-0.5b"], "prompt": "x"}, 400),
        ({"models": [SMALL] * 17, "prompt": "x"}, 400),
        ({"models": [1], "prompt": "x"}, 400),
        ({"models": ["qwen9:1b"], "prompt": "x"}, 404),
        ({"family": "qwen9", "prompt": "x"}, 404),
        (PROMPT | {"samples": 0}, 400),
        (PROMPT | {"samples": 9}, 400),
        (PROMPT | {"samples": "2"}, 400),
        (PROMPT | {"history": {"qwen9:1b": []}}, 404),
        ({"models": [SMALL], "prompt": "x", "history": {LARGE: []}}, 400),
    ],
)
def test_bad_input_is_rejected_before_any_size_is_asked(body: dict[str, Any], status: int) -> None:
    async def scenario(sizes: Sizes) -> None:
        for path in ("/api/compare", "/v1/compare"):
            found, _, text = await sizes.gateway.post(path, body)
            assert found == status, text
            assert "error" in json.loads(text)
        assert not any(replica.requests for replica in sizes.replicas.values())

    comparing(scenario, *[responding_with("4")] * 3)


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
