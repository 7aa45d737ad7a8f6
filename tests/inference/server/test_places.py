"""Places of requests: held before their prompts are encoded, and free however they end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from inference.serving import Process, running, text_prompt, until
from sizeup_inference.fake.engine import FakeLimits
from sizeup_wire import routes
from sizeup_wire.errors import ErrorCode

LIMITS: dict[str, Any] = {"max_num_seqs": 6, "max_waiting": 2}
"""Of 8 places 7 are for one client, and 1 is reserved."""
STUCK = FakeLimits(token_seconds=600.0, **LIMITS)
BODY: dict[str, Any] = {"prompt": text_prompt("x"), "client": "greedy"}
PROMPT_TOO_LONG: dict[str, Any] = {"prompt": text_prompt("x" * 100), "client": "greedy"}

Scenario = Callable[[Process], Awaitable[None]]


def serving(scenario: Scenario, limits: FakeLimits = STUCK, **settings: Any) -> None:
    async def run() -> None:
        async with running(limits, **LIMITS, **settings) as process:
            await scenario(process)

    asyncio.run(run())


async def send(
    process: Process, body: object = BODY, path: str = routes.GENERATE
) -> tuple[int, Any]:
    async with process.http.post(process.url + path, json=body) as response:
        if response.status == 200:
            return 200, await response.read()
        return response.status, await response.json()


async def fill(process: Process, number: int) -> list[asyncio.Task[Any]]:
    """Send requests of one client, and wait until the engine has them."""
    tasks = [asyncio.create_task(send(process)) for _ in range(number)]
    await until(lambda: queued(process) == number)
    return tasks


def queued(process: Process) -> int:
    stats = process.engine.stats()
    return stats.running + stats.waiting


async def cancel(process: Process, tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await until(lambda: queued(process) == 0)


def test_the_capacity_is_part_of_the_description() -> None:
    async def scenario(process: Process) -> None:
        _, model = await process.get(routes.MODEL)
        assert model["max_requests"] == 8

    serving(scenario)


def test_one_client_leaves_a_place_to_another() -> None:
    async def scenario(process: Process) -> None:
        tasks = await fill(process, 7)
        status, failure = await send(process)
        assert (status, failure["code"]) == (503, ErrorCode.BUSY)
        tasks.append(asyncio.create_task(send(process, BODY | {"client": "polite"})))
        await until(lambda: queued(process) == 8)
        await cancel(process, tasks)

    serving(scenario)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (routes.GENERATE, PROMPT_TOO_LONG),
        (routes.EMBEDDINGS, {"prompts": [PROMPT_TOO_LONG["prompt"]], "client": "greedy"}),
    ],
)
def test_a_full_process_refuses_before_it_encodes(path: str, body: dict[str, Any]) -> None:
    async def scenario(process: Process) -> None:
        tasks = await fill(process, 7)
        status, failure = await send(process, body, path)
        assert (status, failure["code"]) == (503, ErrorCode.BUSY)
        await cancel(process, tasks)
        body_without_cut = body | {"truncate": False} if path == routes.EMBEDDINGS else body
        status, failure = await send(process, body_without_cut, path)
        assert status == 400

    serving(scenario, max_model_len=20)


def test_places_are_free_once_their_clients_disconnect() -> None:
    async def scenario(process: Process) -> None:
        for _ in range(3):
            await cancel(process, await fill(process, 7))

    serving(scenario)


@pytest.mark.parametrize(
    "bad", [PROMPT_TOO_LONG, BODY | {"n": 9}, BODY | {"stop": ["x"] * 1000}, {"client": "greedy"}]
)
def test_a_request_that_is_rejected_holds_no_place(bad: dict[str, Any]) -> None:
    async def scenario(process: Process) -> None:
        for _ in range(10):
            assert (await send(process, bad))[0] == 400
        await cancel(process, await fill(process, 7))

    serving(scenario, max_model_len=20)


def test_more_choices_than_ever_fit_are_an_invalid_request_beside_others() -> None:
    async def scenario(process: Process) -> None:
        tasks = await fill(process, 3)
        status, failure = await send(process, BODY | {"n": 9})
        assert (status, failure["code"], failure["param"]) == (400, "invalid_request", "n")
        await cancel(process, tasks)

    serving(scenario)


def test_choices_hold_a_place_each() -> None:
    async def scenario(process: Process) -> None:
        several = asyncio.create_task(send(process, BODY | {"n": 5}))
        await until(lambda: process.engine.stats().running == 5)
        status, failure = await send(process, BODY | {"n": 3})
        assert (status, failure["code"]) == (503, ErrorCode.BUSY)
        await cancel(process, [several])

    serving(scenario)


def test_places_are_free_after_a_drain() -> None:
    async def scenario(process: Process) -> None:
        tasks = await fill(process, 7)
        process.drain.begin()
        status, failure = await send(process, BODY | {"client": "polite"})
        assert (status, failure["code"]) == (503, ErrorCode.DRAINING)
        process.drain.expire()
        for _, body in await asyncio.gather(*tasks):
            assert b'"failed"' in body
        await until(lambda: queued(process) == 0)

    serving(scenario)


def test_a_client_that_has_read_the_last_event_may_send_the_next_request() -> None:
    async def run() -> None:
        limits = FakeLimits(max_num_seqs=1, max_waiting=0)
        async with running(limits, max_num_seqs=1, max_waiting=0) as process:
            for _ in range(50):
                async with process.stream(prompt=text_prompt("x")) as response:
                    while b"finished" not in await response.content.readline():
                        pass

    asyncio.run(run())
