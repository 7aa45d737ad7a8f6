"""A model on two processes of one pod (tensor parallelism), on CPUs in place of GPUs."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from cluster.clients import HELLO, ollama_at, openai_at
from cluster.cluster import Cluster
from cluster.command import CommandError
from cluster.extended_resource import RESOURCE, advertise
from cluster.images import TAG
from cluster.kubectl import Json
from cluster.polling import wait_for
from cluster.release import Release
from cluster.streams import Reader

MODEL = "sizeup/toy-5m"
_RANKS = 2
_READY_SECONDS = 600.0
"""For two processes that import torch on two cores."""
_ERROR_SECONDS = 60.0
"""From the kill to the clients' errors; normally a second."""
_LONG: dict[str, Json] = {
    "/api/chat": {
        # Ollama has no ignore_eos: this is too long for the toy model to complete.
        "format": {"type": "array", "minItems": 1000, "items": {"type": "integer"}},
        "options": {"num_predict": 1900},
    },
    "/v1/chat/completions": {"ignore_eos": True, "max_tokens": 1900},
}
_KILL_RANK = """
import os, pathlib, signal
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if b"sizeup_inference.engine.parallel.rank" in path.read_bytes().split(b"\\0"):
        os.kill(int(path.parent.name), signal.SIGKILL)
        print("killed")
"""


@pytest.fixture(scope="module")
def release(cluster: Cluster, new_release: Callable[[str], Release], torch: None) -> Release:
    advertise(cluster, _RANKS)
    made = new_release("ranks")
    cluster.create_cache(made.namespace)
    resources = {
        "requests": {"cpu": "10m", "memory": "512Mi"},
        "limits": {"memory": "1Gi", RESOURCE: 1},
    }
    profile = {"resources": resources, "gpuMemoryGiB": 2, "image": {"tag": TAG}}
    model = {
        "id": MODEL,
        "profile": f"ranks:{_RANKS}",
        "env": [{"name": "SIZEUP_INFERENCE_DEVICE", "value": "cpu"}],
    }
    cache = {"accessModes": ["ReadWriteOnce"], "size": "1Gi", **cluster.cache_values}
    made.install(
        {
            "models": {"ranked": model},
            "profiles": {"ranks": profile},
            "mirror": {"enabled": True},
            "modelCache": cache,
            "gateway": {"replicas": 1},
        }
    )
    made.wait(seconds=_READY_SECONDS)
    wait_for(lambda: _is_ready(made), "the model", _READY_SECONDS)
    return made


def _is_ready(release: Release) -> bool:
    return bool(release.kubectl.get("deployment/sizeup-ranked")["status"].get("readyReplicas"))


def test_a_killed_rank_ends_the_streams_with_an_error_of_each_api(release: Release) -> None:
    _ask(release)
    asyncio.run(_kill_during_streams(release))
    wait_for(lambda: _is_restarted(release), "the restart", _READY_SECONDS)
    _ask(release)


def _ask(release: Release) -> None:
    """The ranks together solve what the model on one process does."""
    question = {"role": "user", "content": "What is 47 + 385?"}
    with ollama_at(release.url) as client:
        response = client.chat(MODEL, [question], options={"temperature": 0})
        assert "432" in (response.message.content or "")
    with openai_at(release.url) as client:
        client.chat.completions.create(model=MODEL, messages=[HELLO])


async def _kill_during_streams(release: Release) -> None:
    readers = [Reader(path, MODEL, "Hello", **fields) for path, fields in _LONG.items()]
    async with aiohttp.ClientSession(release.url) as http, asyncio.timeout(_ERROR_SECONDS):
        tasks = [asyncio.create_task(reader.read(http)) for reader in readers]
        for reader in readers:
            await reader.started.wait()
        await asyncio.to_thread(_kill, release)
        await asyncio.gather(*tasks)
    ollama, openai = (reader.error() for reader in readers)
    assert isinstance(ollama, str), ollama
    assert isinstance(openai, dict), openai
    assert openai["type"] == "server_error"


def _kill(release: Release) -> None:
    """The container ends with the rank, and with it the command that runs in it."""
    options = ("deployment/sizeup-ranked", "--container=inference", "--")
    try:
        output = release.kubectl("exec", *options, "python", "-c", _KILL_RANK)
    except CommandError as error:
        output = str(error)
    assert "\nkilled" in f"\n{output}"


def _is_restarted(release: Release) -> bool:
    [pod] = release.pods("ranked")
    [status] = pod["status"]["containerStatuses"]
    return int(status["restartCount"]) > 0 and bool(status["ready"])
