"""Sizes that are cold, busy or dead leave the others of a comparison alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.api.compare.compare_client import compare
from gateway.api.compare.comparing import LARGE, MIDDLE, PROMPT, SMALL, comparing
from gateway.fake_inference import (
    KillConnection,
    Refusal,
    finished,
    refusing,
    responding_with,
    started,
)
from gateway.harness import until
from gateway.sizes import Sizes
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Event, Failed, Text
from sizeup_wire.generate import GenerateRequest

PATHS = pytest.mark.parametrize("path", ["/api/compare", "/v1/compare"])


@PATHS
def test_a_cold_size_says_what_it_waits_for(path: str) -> None:
    async def scenario(sizes: Sizes) -> None:
        cold = sizes.replicas[LARGE]
        cold.state = "downloading"
        comparison = asyncio.create_task(compare(sizes.gateway, PROMPT, path))
        await until(lambda: bool(sizes.replicas[SMALL].requests) and cold.probes > 2)
        cold.ready = True
        found = await comparison
        waiting = [chunk for chunk in found.of(LARGE) if chunk.get("status") == "downloading"]
        assert waiting[-1]["progress"] == 0.5
        assert found.statuses(LARGE)[-1] == "generating"
        assert found.text(LARGE) == "4"
        assert found.summary["answered"] == 3

    comparing(scenario, *[responding_with("4")] * 3, cold=[7])


@PATHS
def test_a_size_that_never_gets_ready_fails_at_the_deadline(path: str) -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT, path)
        assert found.end(LARGE)["failure"]["code"] in ("not_ready", "model_not_ready")
        assert (found.summary["answered"], found.summary["failed"]) == (2, 1)
        assert found.summary["agreement"]["largest"] == MIDDLE

    comparing(scenario, *[responding_with("4")] * 3, cold=[7], activation_seconds=1)


@PATHS
def test_a_dead_size_fails_at_once_and_alone(path: str) -> None:
    async def scenario(sizes: Sizes) -> None:
        sizes.replicas[SMALL].state = "failed"
        await until(lambda: sizes.replicas[SMALL].probes > 2)
        found = await compare(sizes.gateway, PROMPT, path)
        assert "has failed" in found.end(SMALL)["failure"]["message"]
        assert found.summary["answered"] == 2

    comparing(scenario, *[responding_with("4")] * 3, cold=[0.5])


@PATHS
def test_a_busy_size_is_tried_again(path: str) -> None:
    refusals = iter(range(2))

    async def busy_twice(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        if next(refusals, None) is not None:
            raise Refusal(503, Failure(code=ErrorCode.BUSY, message="full"))
        yield started()
        yield Text(text="4")
        yield finished(1)

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT, path)
        assert "busy" in found.statuses(MIDDLE)
        assert found.text(MIDDLE) == "4"
        assert len(sizes.replicas[MIDDLE].requests) == 3

    comparing(scenario, responding_with("4"), busy_twice, responding_with("4"))


@PATHS
def test_a_size_that_stays_busy_fails_at_the_deadline(path: str) -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT, path)
        assert found.end(MIDDLE)["failure"]["code"] in ("busy", "rate_limit_exceeded")
        assert found.summary["answered"] == 2

    busy = refusing(ErrorCode.BUSY, 503)
    comparing(scenario, responding_with("4"), busy, responding_with("4"), activation_seconds=1)


@PATHS
def test_a_size_that_dies_in_the_middle_keeps_what_it_said(path: str) -> None:
    async def dying(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="The answer")
        raise KillConnection

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT, path)
        end = found.end(LARGE)
        assert end["failure"]["code"] == "upstream_lost"
        assert end["text"] == "The answer"
        assert found.summary["answered"] == 2

    comparing(scenario, responding_with("4"), responding_with("4"), dying)


@PATHS
def test_an_error_of_a_size_is_in_the_clients_words(path: str) -> None:
    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT | {"think": True}, path)
        assert found.end(SMALL)["failure"]["message"] == f'"{SMALL}" does not support thinking'

    unsupported = refusing(ErrorCode.UNSUPPORTED, 400, param="prompt.thinking")
    comparing(scenario, unsupported, responding_with("4"), responding_with("4"))


@PATHS
def test_a_failure_during_generation_ends_that_answer(path: str) -> None:
    async def failing(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Failed(code=ErrorCode.INTERNAL, message="out of memory")

    async def scenario(sizes: Sizes) -> None:
        found = await compare(sizes.gateway, PROMPT, path)
        failure = found.end(SMALL)["failure"]
        assert (failure["code"], failure["message"]) == ("internal", "out of memory")

    comparing(scenario, failing, responding_with("4"), responding_with("4"))
