"""Scale to zero: the first request activates a model, keep_alive determines when it stops."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import ollama
import pytest

from cluster.clients import HELLO, ollama_at, openai_at, states
from cluster.polling import wait_for
from cluster.release import Release

BRIEF, LASTING = "brief", "lasting"
_IDS = {BRIEF: "Qwen/Qwen1.5-0.5B-Chat", LASTING: "Qwen/Qwen1.5-1.8B-Chat"}
_KEEP_ALIVE = {BRIEF: "5s", LASTING: "1h"}
_CONCURRENCY = 100
_SCALED_DOWN_SECONDS = 120.0
"""The gateways check every two seconds, then the pod drains; the rest is margin."""
_COLD_SECONDS = 120.0
_YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
def _installed(new_release: Callable[[str], Release]) -> Release:
    made = new_release("scaling")
    sizes = {
        key: {
            "id": _IDS[key],
            "engine": "fake",
            "names": [key],
            "scaleToZero": {"enabled": True, "keepAlive": keep_alive},
        }
        for key, keep_alive in _KEEP_ALIVE.items()
    }
    made.install({"models": sizes})
    made.wait("sizeup-gateway")
    return made


@pytest.fixture
def release(_installed: Release) -> Release:
    """Two gateways, and both models scaled to zero."""
    with ollama_at(_installed.url) as client:
        for key in _IDS:
            if _installed.replicas(key):
                client.generate(key, keep_alive=0)
            _wait_scaled_to_zero(_installed, key)
    return _installed


def _wait_scaled_to_zero(release: Release, key: str) -> None:
    def is_at_zero() -> bool:
        return release.replicas(key) == 0 and not release.pods(key)

    wait_for(is_at_zero, f"{key} scaled to zero", _SCALED_DOWN_SECONDS)
    wait_for(
        lambda: (states(release.url) or {}).get(key) == "unloaded",
        f"{key} unloaded",
        _SCALED_DOWN_SECONDS,
    )


def test_first_request_activates_and_idle_model_scales_to_zero(release: Release) -> None:
    assert release.replicas(BRIEF) == 0
    with ollama_at(release.url) as client:
        response = client.chat(BRIEF, [HELLO])
        assert "Hello" in (response.message.content or "")
        # It includes the start of a container; it is near zero for a model that is loaded.
        assert 0.5e9 < (response.load_duration or 0) <= (response.total_duration or 0)
    assert release.replicas(BRIEF) == 1
    _wait_scaled_to_zero(release, BRIEF)


def test_stream_is_queued_during_activation(release: Release) -> None:
    with openai_at(release.url) as client:
        parts = client.chat.completions.create(model=BRIEF, messages=[HELLO], stream=True)
        assert "Hello" in "".join(part.choices[0].delta.content or "" for part in parts)


def test_concurrent_first_requests_activate_once(release: Release) -> None:
    before = _generation(release, LASTING)
    responses = asyncio.run(_concurrent_requests(release.url))
    assert all("Hello" in (response.message.content or "") for response in responses)
    assert _generation(release, LASTING) == before + 1
    assert len(release.pods(LASTING)) == 1
    starts = [
        pod["status"]["containerStatuses"][0]["restartCount"] for pod in release.pods(LASTING)
    ]
    assert starts == [0]


async def _concurrent_requests(url: str) -> list[ollama.ChatResponse]:
    async with ollama.AsyncClient(url, timeout=_COLD_SECONDS) as client:
        requests = (client.chat(LASTING, [HELLO]) for _ in range(_CONCURRENCY))
        return list(await asyncio.gather(*requests))


def _generation(release: Release, key: str) -> int:
    """Return a Deployment's generation, which counts changes of its spec and so of its replicas."""
    return int(release.kubectl.get(f"deployment/sizeup-{key}")["metadata"]["generation"])


def test_negative_keep_alive_never_scales_down(release: Release) -> None:
    with ollama_at(release.url) as client:
        client.chat(BRIEF, [HELLO], keep_alive=-1)
        assert _expiry(client, BRIEF) > datetime.now(UTC) + _YEAR
        before = release.uids().items()
        client.chat(LASTING, [HELLO], keep_alive=_KEEP_ALIVE[BRIEF])
    # LASTING was requested later, so by now BRIEF's default keep_alive would have expired as well.
    _wait_scaled_to_zero(release, LASTING)
    assert release.replicas(BRIEF) == 1
    assert before <= release.uids().items()
    assert release.terminating() == set()


def test_zero_keep_alive_scales_down_immediately(release: Release) -> None:
    with ollama_at(release.url) as client:
        client.chat(LASTING, [HELLO], keep_alive=0)
    _wait_scaled_to_zero(release, LASTING)


def test_keep_alive_of_a_request_overrides_the_default(release: Release) -> None:
    with ollama_at(release.url) as client:
        client.chat(LASTING, [HELLO])
        late = _expiry(client, LASTING)
        assert late > datetime.now(UTC) + timedelta(minutes=50)
        client.chat(LASTING, [HELLO], keep_alive="4s")
    _wait_scaled_to_zero(release, LASTING)


def _expiry(client: ollama.Client, key: str) -> datetime:
    def expiry() -> datetime | None:
        loaded = [m for m in client.ps().models if str(m.model).removesuffix(":latest") == key]
        return loaded[0].expires_at if loaded else None

    # Each gateway polls the replicas itself, every second or two.
    return wait_for(expiry, f"{key} in /api/ps", _SCALED_DOWN_SECONDS)
