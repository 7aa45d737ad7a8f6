"""Batches to embed: activation, faults, deadlines, memory, metrics."""

import asyncio
import base64
import json
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.embed_script import EmbedScript, vectors
from gateway.embedding import ALL, BODY, EMBED, LEGACY, OPENAI, answer, serving
from gateway.fake_deployment import fake_deployment, gateway_on
from gateway.fake_inference import (
    FakeInference,
    KillConnection,
    Refusal,
    fake_inference,
    responding_with,
    started,
)
from gateway.harness import KEY, MODEL, Gateway, running_gateway, until
from gateway.sizes import FAMILY, name_of, running_sizes
from sizeup_wire.embeddings import Embedding, EmbedEvent, EmbedRequest
from sizeup_wire.errors import ErrorCode, Failure
from sizeup_wire.events import Failed, Finished


@pytest.mark.parametrize(
    ("path", "body", "empty"),
    [
        (EMBED, {"input": []}, {"model": MODEL, "embeddings": []}),
        (EMBED, {"input": ""}, {"model": MODEL, "embeddings": []}),
        (EMBED, {"input": None}, {"model": MODEL, "embeddings": []}),
        (EMBED, {}, {"model": MODEL, "embeddings": []}),
        (LEGACY, {"prompt": ""}, {"embedding": []}),
        (LEGACY, {}, {"embedding": []}),
    ],
)
def test_without_an_input_the_model_is_loaded(
    tmp_path: Path, path: str, body: dict[str, Any], empty: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with fake_deployment() as deployment, gateway_on(deployment, tmp_path) as gateway:
            request = {"model": MODEL, "keep_alive": 60} | body
            status, _, text = await gateway.post(path, request)
            assert (status, json.loads(text)) == (200, empty)
            assert deployment.pod.keep_alive_requests == [60]
            assert deployment.pod.embed_requests == []

    asyncio.run(scenario())


def test_the_first_request_activates_a_model_and_counts_the_time_as_loading(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with fake_deployment() as deployment, gateway_on(deployment, tmp_path) as gateway:
            status, _, text = await gateway.post(EMBED, BODY | {"keep_alive": "10m"})
            assert status == 200
            assert json.loads(text)["load_duration"] > 0
            assert deployment.pod.keep_alive == 600

    asyncio.run(scenario())


async def endless(_request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
    yield started()
    yield Embedding(index=0, vector="AACAPw==", prompt_tokens=1)
    await asyncio.Event().wait()


@ALL
def test_a_disconnect_cancels_the_batch(path: str) -> None:
    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        task = asyncio.create_task(gateway.post(path, BODY))
        await until(lambda: fake.live == 1)
        task.cancel()
        await until(lambda: fake.live == 0)
        labels = {"model": KEY, "route": path, "outcome": "cancelled"}
        await until(lambda: gateway.sample("requests_total", **labels) == 1)
        assert gateway.sample("requests_in_flight", model=KEY) == 0

    serving(scenario, endless)


@ALL
def test_the_deadlines_end_a_batch(path: str) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        assert (await gateway.post(path, BODY))[0] == 504

    serving(scenario, endless, first_event_seconds=0.05)
    serving(scenario, endless, total_seconds=0.1, activation_seconds=0.1)


@ALL
def test_the_drain_deadline_ends_a_batch(path: str) -> None:
    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        task = asyncio.create_task(gateway.post(path, BODY))
        await until(lambda: fake.live == 1)
        gateway.drain.expire()
        assert (await task)[0] == 503

    serving(scenario, endless)


@ALL
def test_a_full_queue_is_busy(path: str) -> None:
    async def busy(_request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
        yield started()
        yield Failed(code=ErrorCode.BUSY, message="queue full")

    status, body = answer(path, BODY, busy)
    assert status == (429 if path == OPENAI else 503)
    assert path == OPENAI or "busy" in body["error"]


def killed_after(count: int) -> EmbedScript:
    async def script(request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
        for event in list(vectors(request))[:count]:
            yield event
        raise KillConnection

    return script


def drained_after(count: int) -> EmbedScript:
    async def script(request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
        for event in list(vectors(request))[:count]:
            yield event
        yield Failed(code=ErrorCode.DRAINING, message="x")

    return script


@pytest.mark.parametrize("path", [EMBED, OPENAI])
@pytest.mark.parametrize("broken", [killed_after(0), killed_after(2), drained_after(2)])
def test_a_batch_starts_over_on_another_replica(path: str, broken: EmbedScript) -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as bad,
            fake_inference() as good,
            running_gateway(bad, good, probe_interval_seconds=60) as gateway,
        ):
            bad.embed_script = broken
            body = {"model": MODEL, "input": ["a", "bb", "ccc"]}
            status, _, text = await gateway.post(path, body)
            retries = gateway.sample("upstream_retries_total", model=KEY)
        assert status == 200
        found = json.loads(text)
        assert len(found.get("embeddings") or found["data"]) == 3
        assert found.get("prompt_eval_count", 21) == 21
        assert len(bad.embed_requests) == len(good.embed_requests) == retries == 1

    asyncio.run(scenario())


def test_two_failing_replicas_are_tried_once_each() -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as one,
            fake_inference() as two,
            running_gateway(one, two) as gateway,
        ):
            one.embed_script = two.embed_script = killed_after(2)
            assert (await gateway.post(EMBED, BODY))[0] == 502
        assert len(one.embed_requests) == len(two.embed_requests) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "script",
    [
        [started(), b"garbage"],
        [started(), Embedding(index=0, vector="a*b=", prompt_tokens=1)],
        [started(), Failed(code=ErrorCode.INTERNAL, message="x")],
    ],
    ids=["garbage", "not base64", "failed"],
)
@ALL
def test_a_broken_stream_is_an_error(path: str, script: list[EmbedEvent | bytes]) -> None:
    async def broken(_request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
        for event in script:
            yield event

    assert answer(path, BODY, broken)[0] == 500


def large(count: int) -> EmbedScript:
    """Return vectors of 4,096 components."""
    components = array("f", [i / 4096 for i in range(4096)])
    vector = base64.b64encode(components).decode()

    async def script(request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
        yield started()
        for index in range(count):
            yield Embedding(index=index, vector=vector, prompt_tokens=1)
        yield Finished(
            reasons=(), prompt_tokens=count, completion_tokens=0, prompt_eval_ns=1, eval_ns=0
        )

    return script


@pytest.mark.parametrize(
    "body",
    [{"encoding_format": "float"}, {"encoding_format": "base64"}],
)
def test_a_large_batch_is_sent_piece_by_piece(body: dict[str, Any]) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        status, headers, text = await gateway.post(OPENAI, BODY | body)
        assert status == 200
        assert headers["Transfer-Encoding"] == "chunked"
        data = json.loads(text)["data"]
        assert [entry["index"] for entry in data] == list(range(40))
        assert data[0]["embedding"] == data[39]["embedding"]

    # 40 vectors are 640 KB here, and 2 MB as JSON
    serving(scenario, large(40), max_response_bytes=2**20, max_responses_bytes=2**20)


@ALL
def test_a_small_response_has_a_length(path: str) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        _, headers, text = await gateway.post(path, BODY)
        assert headers["Content-Length"] == str(len(text))

    serving(scenario)


def test_the_memory_of_batches_is_bounded() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        status, _, text = await gateway.post(EMBED, BODY)
        assert (status, "fewer prompts" in text) == (400, True)

    serving(scenario, large(40), max_response_bytes=2**19)


def test_tokens_and_duration_are_counted() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        await gateway.post(EMBED, BODY)
        await until(lambda: gateway.sample("prompt_tokens_total", model=KEY) == 7)
        assert gateway.sample("completion_tokens_total", model=KEY) == 0
        assert gateway.sample("request_duration_seconds_count", model=KEY) == 1
        assert gateway.sample("time_to_first_token_seconds_count", model=KEY) == 0
        labels = {"model": KEY, "route": EMBED, "outcome": "ok"}
        assert gateway.sample("requests_total", **labels) == 1

    serving(scenario)


@ALL
def test_an_api_key_has_its_own_prefix_cache(tmp_path: Path, path: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text("one\ntwo\n", encoding="utf-8")

    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        assert (await gateway.post(path, BODY))[0] == 401
        for key in ("one", "two", "one"):
            assert (await gateway.post(path, BODY, **{"X-Api-Key": key}))[0] == 200
        one, two, again = (request.cache_salt for request in fake.embed_requests)
        assert one == again != two
        assert one is not None

    serving(scenario, api_keys_file=keys)


@pytest.mark.parametrize("path", [EMBED, OPENAI])
def test_a_virtual_name_is_resolved_and_a_cold_size_is_never_replaced(path: str) -> None:
    async def scenario() -> None:
        scripts = {size: responding_with("4") for size in (0.5, 7)}
        fields: Any = {"fallback": "smaller", "queue_while_loading": False}
        async with running_sizes(scripts, cold=[7], **fields) as sizes:
            body = {"model": f"{FAMILY}:smallest", "input": "a"}
            status, headers, text = await sizes.gateway.post(path, body)
            assert status == 200
            assert headers["X-Sizeup-Model"] == json.loads(text)["model"] == name_of(0.5)
            counted = {"tag": "smallest", "model": sizes.key(name_of(0.5))}
            assert sizes.gateway.sample("virtual_names_total", **counted) == 1
            status, _, _ = await sizes.gateway.post(path, body | {"model": name_of(7)})
            assert status == 503

    asyncio.run(scenario())


def test_a_replica_of_the_previous_release_gives_an_explicit_error() -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:

            async def unknown(_request: EmbedRequest) -> AsyncIterator[EmbedEvent | bytes]:
                failure = Failure(code=ErrorCode.INVALID_REQUEST, message="Not Found")
                raise Refusal(404, failure)
                yield

            fake.embed_script = unknown
            status, _, text = await gateway.post(EMBED, BODY)
            assert (status, "Not Found" in text) == (400, True)

    asyncio.run(scenario())
