"""Rate limits of clients, in every dialect."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.api.compare.compare_client import compare
from gateway.fake_inference import (
    TOKENS,
    FakeInference,
    fake_inference,
    responding_with,
    started,
)
from gateway.harness import MODEL, Gateway, running_gateway, until
from gateway.sizes import FAMILY, running_sizes
from sizeup_gateway.rate_limits import RATE_LIMIT_HEADERS
from sizeup_wire.events import Event, Text
from sizeup_wire.generate import GenerateRequest

MESSAGES = [{"role": "user", "content": "hi"}]
BODY = {
    "model": MODEL,
    "messages": MESSAGES,
    "input": "hi",
    "max_tokens": 9,
    "stream": False,
}
USED = 7 + len(TOKENS)
"""Tokens of a response of the scripted replica."""
GENERATING = (
    "/api/chat",
    "/api/generate",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)

PROMPTED = ("/api/generate", "/v1/completions")

Scenario = Callable[[Gateway, FakeInference], Awaitable[None]]


def limited(scenario: Scenario, **settings: Any) -> None:
    async def run() -> None:
        async with fake_inference() as fake, running_gateway(fake, **settings) as gateway:
            await scenario(gateway, fake)

    asyncio.run(run())


def keys_file(folder: Path, *lines: str) -> Path:
    file = folder / "keys"
    file.write_text("\n".join(lines), encoding="utf-8")
    file.chmod(0o600)
    return file


def body_for(path: str) -> dict[str, Any]:
    return BODY | ({"prompt": "hi"} if path in PROMPTED else {})


async def post(gateway: Gateway, key: str, path: str = "/api/chat") -> int:
    status, _, _ = await gateway.post(path, body_for(path), Authorization=f"Bearer {key}")
    return status


def test_errors_of_routes_have_the_headers_of_the_limits() -> None:
    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        for body, expected in ((body_for("/api/chat") | {"model": "none"}, 404), ({}, 400)):
            status, headers, _ = await gateway.post("/api/chat", body)
            assert status == expected
            assert headers["x-ratelimit-limit-requests"] == "9"

    limited(scenario, requests_per_minute=9)


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ({"requests_per_minute": 1}, "requests"),
        ({"tokens_per_minute": USED}, "tokens"),
    ],
)
@pytest.mark.parametrize("path", GENERATING)
def test_a_client_over_its_limit_gets_429_in_the_shape_of_the_dialect(
    path: str, setting: dict[str, int], kind: str
) -> None:
    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        assert (await gateway.post(path, body_for(path)))[0] == 200
        status, headers, text = await gateway.post(path, body_for(path))
        assert status == 429
        assert 1 <= int(headers["Retry-After"]) <= 60
        assert headers[f"x-ratelimit-remaining-{kind}"] == "0"
        error = json.loads(text)["error"]
        if path == "/v1/messages":
            assert error["type"] == "rate_limit_error"
        elif path.startswith("/v1"):
            assert (error["type"], error["code"]) == (kind, "rate_limit_exceeded")
        else:
            assert isinstance(error, str)
        assert len(fake.requests) == 1

    limited(scenario, **setting)


def test_responses_have_the_headers_of_the_limits() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        seen = [(await gateway.post("/v1/chat/completions", BODY))[:2] for _ in range(3)]
        assert [status for status, _ in seen] == [200, 200, 429]
        assert all(name in headers for _, headers in seen for name in RATE_LIMIT_HEADERS)
        left = [int(headers["x-ratelimit-remaining-requests"]) for _, headers in seen]
        assert left == [1, 0, 0]
        tokens = [int(headers["x-ratelimit-remaining-tokens"]) for _, headers in seen]
        assert tokens == [1000 - USED, 1000 - 2 * USED, 1000 - 2 * USED]
        assert {headers["x-ratelimit-limit-tokens"] for _, headers in seen} == {"1000"}

    limited(scenario, requests_per_minute=2, tokens_per_minute=1000)


def test_allowed_pages_may_read_the_headers() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        for status in (200, 429):
            got, headers, _ = await gateway.post("/api/chat", BODY, Origin="http://localhost")
            assert got == status
            exposed = headers["Access-Control-Expose-Headers"].lower().split(", ")
            assert {"retry-after", *RATE_LIMIT_HEADERS} <= set(exposed)

    limited(scenario, requests_per_minute=1)


def test_without_limits_there_are_no_headers() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        _, headers, _ = await gateway.post("/api/chat", BODY)
        assert not any(name.lower().startswith("x-ratelimit") for name in headers)

    limited(scenario)


def test_requests_that_compute_nothing_are_free() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        await gateway.post("/api/chat", BODY)
        for path in ("/api/tags", "/v1/models", "/api/ps", "/readyz", "/livez"):
            assert (await gateway.get(path))[0] == 200
        assert (await gateway.post("/api/chat", BODY))[0] == 429

    limited(scenario, requests_per_minute=1)


def test_a_request_of_every_kind_counts() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        assert (await gateway.post("/api/show", {"model": MODEL}))[0] == 200
        assert (await gateway.post("/v1/chat/completions", b"no json"))[0] == 400
        assert (await gateway.post("/api/chat", BODY))[0] == 429

    limited(scenario, requests_per_minute=2)


def test_keys_have_limits_of_their_own_and_do_not_affect_one_another(tmp_path: Path) -> None:
    file = keys_file(
        tmp_path, "default", "more requests_per_minute=3", "free requests_per_minute=0"
    )

    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        served = {}
        for key in ("default", "more", "free"):
            served[key] = [await post(gateway, key) for _ in range(5)].count(200)
        assert served == {"default": 1, "more": 3, "free": 5}
        assert await post(gateway, "unknown") == 401

    limited(scenario, api_keys_file=file, requests_per_minute=1)


def test_only_a_keys_own_limits_limit_without_a_default(tmp_path: Path) -> None:
    file = keys_file(tmp_path, "free", "one requests_per_minute=1")

    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        assert [await post(gateway, "one") for _ in range(2)] == [200, 429]
        assert [await post(gateway, "free") for _ in range(2)] == [200, 200]

    limited(scenario, api_keys_file=file)


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [False, True])
def test_tokens_of_streams_and_whole_responses_count(path: str, stream: bool) -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        for expected in (200, 200, 429):
            status, _, _ = await gateway.post(path, BODY | {"stream": stream})
            assert status == expected

    limited(scenario, tokens_per_minute=USED + 1)


def test_a_client_that_has_read_a_response_may_send_the_next_request() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        others = [asyncio.create_task(gateway.get("/api/tags")) for _ in range(200)]
        for stream in (True, False) * 20:
            status, _, _ = await gateway.post("/api/chat", BODY | {"stream": stream})
            assert status == 200
        await asyncio.gather(*others)

    limited(scenario, concurrent_requests=1)


def test_tokens_of_embeddings_count() -> None:
    async def scenario(gateway: Gateway, _fake: FakeInference) -> None:
        assert (await gateway.post("/api/embed", BODY))[0] == 200
        assert (await gateway.post("/v1/embeddings", BODY))[0] == 429

    limited(scenario, tokens_per_minute=7)


def test_tokens_of_a_stream_count_as_they_are_sent_and_after_it_is_cancelled() -> None:
    async def endless(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="one")
        await asyncio.Event().wait()

    async def run() -> None:
        async with (
            fake_inference(endless) as fake,
            running_gateway(fake, tokens_per_minute=8) as gateway,
        ):
            body = BODY | {"stream": True}
            async with gateway.http.post(gateway.url + "/api/chat", json=body) as response:
                await response.content.readline()
                assert (await gateway.post("/api/chat", BODY))[0] == 429
            await until(lambda: fake.cancelled == 1)
            status, headers, _ = await gateway.post("/api/chat", BODY)
            assert (status, headers["x-ratelimit-remaining-tokens"]) == (429, "0")

    asyncio.run(run())


def test_tokens_of_every_answer_of_a_comparison_count() -> None:
    async def run() -> None:
        settings: dict[str, Any] = {"tokens_per_minute": 2 * USED + 1}
        async with running_sizes(
            {0.5: responding_with(*TOKENS), 3: responding_with(*TOKENS)}, **settings
        ) as sizes:
            prompt = {"family": FAMILY, "prompt": "hi"}
            await compare(sizes.gateway, prompt)
            left = (await sizes.gateway.post("/api/show", {"model": sizes.names[0]}))[1]
            assert left["x-ratelimit-remaining-tokens"] == "1"
            clients = {r.client for fake in sizes.replicas.values() for r in fake.requests}
            assert clients == {"address:127.0.0.1"}

    asyncio.run(run())


def test_inference_gets_the_client_of_a_request(tmp_path: Path) -> None:
    file = keys_file(tmp_path, "one", "two")

    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        for key in ("one", "two"):
            for path in GENERATING:
                assert await post(gateway, key, path) == 200
            assert await post(gateway, key, "/api/embed") == 200
        sent = [*(r.client for r in fake.requests), *(r.client for r in fake.embed_requests)]
        counts = Counter(map(str, sent))
        assert set(counts.values()) == {len(GENERATING) + 1}
        assert [client.partition(":")[0] for client in counts] == ["key", "key"]

    limited(scenario, api_keys_file=file)


def test_without_keys_the_client_is_the_address() -> None:
    async def scenario(gateway: Gateway, fake: FakeInference) -> None:
        await gateway.post("/api/chat", BODY, **{"X-Forwarded-For": "10.0.0.1"})
        assert [request.client for request in fake.requests] == ["address:127.0.0.1"]

    limited(scenario)
