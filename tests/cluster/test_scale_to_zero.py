"""A size without pods: its first request starts one, and keep_alive decides when it goes again."""

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
_CROWD = 100
_GONE_SECONDS = 120.0
"""The gateways look every two seconds, and the pod drains; the rest is for a busy machine."""
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
    """Two gateways, and both sizes at zero."""
    with ollama_at(_installed.url) as client:
        for key in _IDS:
            if _installed.replicas(key):
                client.generate(key, keep_alive=0)
            _wait_gone(_installed, key)
    return _installed


def _wait_gone(release: Release, key: str) -> None:
    def gone() -> bool:
        return release.replicas(key) == 0 and not release.pods(key)

    wait_for(gone, f"{key} at zero", _GONE_SECONDS)
    wait_for(
        lambda: (states(release.url) or {}).get(key) == "unloaded", f"{key} unloaded", _GONE_SECONDS
    )


def test_the_first_request_starts_a_pod_and_its_absence_ends_it(release: Release) -> None:
    assert release.replicas(BRIEF) == 0
    with ollama_at(release.url) as client:
        said = client.chat(BRIEF, [HELLO])
        assert "Hello" in (said.message.content or "")
        # A container and Python were started in it; a warm answer has next to nothing here.
        assert 0.5e9 < (said.load_duration or 0) <= (said.total_duration or 0)
    assert release.replicas(BRIEF) == 1
    _wait_gone(release, BRIEF)


def test_a_stream_is_held_like_any_other_request(release: Release) -> None:
    with openai_at(release.url) as client:
        parts = client.chat.completions.create(model=BRIEF, messages=[HELLO], stream=True)
        assert "Hello" in "".join(part.choices[0].delta.content or "" for part in parts)


def test_a_crowd_of_first_requests_scales_once(release: Release) -> None:
    before = _generation(release, LASTING)
    answers = asyncio.run(_crowd(release.url))
    assert all("Hello" in (said.message.content or "") for said in answers)
    assert _generation(release, LASTING) == before + 1
    assert len(release.pods(LASTING)) == 1
    starts = [
        pod["status"]["containerStatuses"][0]["restartCount"] for pod in release.pods(LASTING)
    ]
    assert starts == [0]


async def _crowd(url: str) -> list[ollama.ChatResponse]:
    async with ollama.AsyncClient(url, timeout=_COLD_SECONDS) as client:
        asked = (client.chat(LASTING, [HELLO]) for _ in range(_CROWD))
        return list(await asyncio.gather(*asked))


def _generation(release: Release, key: str) -> int:
    """Count the changes of a deployment's specification, and so of its scale."""
    return int(release.kubectl.get(f"deployment/sizeup-{key}")["metadata"]["generation"])


def test_a_negative_keep_alive_is_for_ever(release: Release) -> None:
    with ollama_at(release.url) as client:
        client.chat(BRIEF, [HELLO], keep_alive=-1)
        assert _expiry(client, BRIEF) > datetime.now(UTC) + _YEAR
        before = release.uids().items()
        client.chat(LASTING, [HELLO], keep_alive=_KEEP_ALIVE[BRIEF])
    # Asked later and with the default of the other, this one goes after the other would have.
    _wait_gone(release, LASTING)
    assert release.replicas(BRIEF) == 1
    assert before <= release.uids().items()
    assert release.leaving() == set()


def test_no_keep_alive_ends_a_size_at_once(release: Release) -> None:
    with ollama_at(release.url) as client:
        client.chat(LASTING, [HELLO], keep_alive=0)
    _wait_gone(release, LASTING)


def test_a_duration_of_the_request_counts_instead_of_the_default(release: Release) -> None:
    with ollama_at(release.url) as client:
        client.chat(LASTING, [HELLO])
        late = _expiry(client, LASTING)
        assert late > datetime.now(UTC) + timedelta(minutes=50)
        client.chat(LASTING, [HELLO], keep_alive="4s")
    _wait_gone(release, LASTING)


def _expiry(client: ollama.Client, key: str) -> datetime:
    def known() -> datetime | None:
        loaded = [m for m in client.ps().models if str(m.model).removesuffix(":latest") == key]
        return loaded[0].expires_at if loaded else None

    # Each gateway asks the replicas itself, every second or two.
    return wait_for(known, f"{key} in the list of the loaded", _GONE_SECONDS)
