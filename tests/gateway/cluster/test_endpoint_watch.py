"""Replicas from EndpointSlices, with an API server on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.fake_cluster import endpoint, endpoint_slice
from gateway.fake_deployment import SERVICE, FakeDeployment, fake_deployment, gateway_on, placed
from gateway.fake_inference import FakeInference, finished, started
from gateway.harness import KEY, MODEL, Gateway, until
from sizeup_gateway.cluster.backoff import pause_seconds
from sizeup_wire.events import Event, Text
from sizeup_wire.generate import GenerateRequest

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
Scenario = Callable[[FakeDeployment, Gateway], Awaitable[None]]


def watching(folder: Path, scenario: Scenario) -> None:
    async def run() -> None:
        async with (
            fake_deployment() as deployment,
            gateway_on(deployment, folder, placed(scales=False)) as gateway,
        ):
            await scenario(deployment, gateway)

    asyncio.run(run())


def ready(gateway: Gateway) -> float:
    return gateway.sample("replicas_ready", model=KEY)


def test_pods_are_added_and_removed(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        assert (await gateway.post("/api/chat", CHAT))[0] == 503
        one = await deployment.add_pod()
        two = await deployment.add_pod()
        await until(lambda: ready(gateway) == 2)
        for _ in range(4):
            assert (await gateway.post("/api/chat", CHAT))[0] == 200
        assert (len(one.requests), len(two.requests)) == (2, 2)
        await deployment.terminate(one)
        await until(lambda: ready(gateway) == 1)
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        assert (len(one.requests), len(two.requests)) == (2, 3)
        await deployment.remove(one)
        await deployment.remove(two)
        await until(lambda: ready(gateway) == 0)
        probes = one.probes, two.probes
        three = await deployment.add_pod()
        await until(lambda: three.probes > 5)
        assert (one.probes, two.probes) == probes

    watching(tmp_path, scenario)


def test_a_pod_without_a_slice_is_no_longer_probed(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        left, kept = await deployment.add_pod(), await deployment.add_pod()
        await until(lambda: ready(gateway) == 2)
        await deployment.cluster.delete("pod-1")
        await until(lambda: ready(gateway) == 1)
        probes, others = left.probes, kept.probes
        await until(lambda: kept.probes > others + 5)
        assert left.probes <= probes + 1  # one may have been in flight
        for _ in range(3):
            assert (await gateway.post("/api/chat", CHAT))[0] == 200
        assert (len(left.requests), len(kept.requests)) == (0, 3)

    watching(tmp_path, scenario)


def test_a_lost_pod_ends_only_its_own_streams(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="one")
        await go.wait()
        yield finished(1)

    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        pods = [await deployment.add_pod(FakeInference(script)) for _ in range(2)]
        await until(lambda: ready(gateway) == 2)
        pending = [asyncio.create_task(gateway.post("/api/chat", CHAT)) for _ in range(6)]
        await until(lambda: [pod.live for pod in pods] == [3, 3])
        await deployment.remove(pods[0])
        await until(lambda: ready(gateway) == 1)
        await until(lambda: gateway.sample("requests_in_flight", model=KEY) == 3)
        late = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: pods[1].live == 4)
        go.set()
        texts = [text for _, _, text in await asyncio.gather(*pending, late)]
        assert sum('"error":' in text for text in texts) == 3
        assert sum('"done":true' in text for text in texts) == 4

    watching(tmp_path, scenario)


def test_a_terminating_pod_finishes_its_requests(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        await go.wait()
        yield finished(0)

    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        pod = await deployment.add_pod(FakeInference(script))
        await until(lambda: ready(gateway) == 1)
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: pod.live == 1)
        await deployment.terminate(pod)
        await until(lambda: ready(gateway) == 0)
        status, _, text = await gateway.post("/api/chat", CHAT)
        assert (status, "is loading" in text) == (503, True)
        go.set()
        assert '"done":true' in (await pending)[2]

    watching(tmp_path, scenario)


def test_a_watch_is_resumed_at_its_version(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        await deployment.add_pod()
        await until(lambda: ready(gateway) == 1)
        await deployment.cluster.bookmark()
        at = deployment.cluster.version
        await until(lambda: deployment.cluster.watching == 1)
        await deployment.cluster.end_watches()
        await until(
            lambda: deployment.cluster.watching == 1 and len(deployment.cluster.watches) > 1
        )
        await deployment.add_pod()
        await until(lambda: ready(gateway) == 2)
        assert (deployment.cluster.lists, deployment.cluster.watches[-1]) == (1, at)

    watching(tmp_path, scenario)


def test_an_expired_version_causes_a_list(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        one = await deployment.add_pod()
        await until(lambda: ready(gateway) == 1)
        cluster = deployment.cluster
        await cluster.stop()
        await deployment.remove(one)
        await deployment.add_pod()
        await deployment.add_pod()
        cluster.forget_history()
        await cluster.start()
        await until(lambda: ready(gateway) == 2)
        assert cluster.lists == 2

    watching(tmp_path, scenario)


def test_endpoints_stay_while_the_api_server_is_unreachable(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        one = await deployment.add_pod()
        await until(lambda: ready(gateway) == 1)
        await deployment.cluster.stop()
        two = await deployment.add_pod()
        probes = one.probes
        await until(lambda: one.probes > probes + 10)
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        assert two.requests == []
        await deployment.cluster.start()
        await until(lambda: ready(gateway) == 2)
        assert deployment.cluster.lists == 1

    watching(tmp_path, scenario)


@pytest.mark.parametrize("status", [403, 500])
def test_an_error_of_the_api_server_is_retried(tmp_path: Path, status: int) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        await deployment.add_pod()
        await until(lambda: ready(gateway) == 1)
        deployment.cluster.refusal = status
        await deployment.cluster.end_watches()
        await deployment.add_pod()
        await until(lambda: deployment.cluster.watching == 0)
        deployment.cluster.refusal = None
        await until(lambda: ready(gateway) == 2)

    watching(tmp_path, scenario)


def test_the_gateway_is_ready_after_the_first_probes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with fake_deployment() as deployment:
            pod = await deployment.add_pod()
            pod.hangs.set()
            await deployment.cluster.stop()
            async with gateway_on(deployment, tmp_path, placed(scales=False)) as gateway:
                assert (await gateway.get("/livez"))[0] == 200
                assert await gateway.get("/readyz") == (503, {"status": "starting"})
                await deployment.cluster.start()
                await until(lambda: pod.probes == 1)
                assert (await gateway.get("/readyz"))[0] == 503
                pod.hangs.clear()
                await pod.stop()
                await pod.start()
                await until(lambda: ready(gateway) == 1)
                assert (await gateway.get("/readyz"))[0] == 200

    asyncio.run(scenario())


def test_slices_of_other_services_are_ignored(tmp_path: Path) -> None:
    async def scenario(deployment: FakeDeployment, gateway: Gateway) -> None:
        address = endpoint("127.0.0.1", "other")
        await deployment.cluster.put(endpoint_slice("other", "other-service", [address], port=1))
        await deployment.cluster.put(endpoint_slice("none", SERVICE))
        await deployment.add_pod()
        await until(lambda: ready(gateway) == 1)
        assert (await gateway.get("/health"))[1]["replicas_ready"] == {KEY: 1}

    watching(tmp_path, scenario)


def test_the_backoff_doubles_up_to_a_maximum() -> None:
    longest = [pause_seconds(n, 0.999999) for n in (1, 2, 3, 6, 10, 10_000)]
    assert longest == pytest.approx([0.5, 1, 2, 15, 15, 15], rel=1e-3)
    assert pause_seconds(3, 0.0) == 1
