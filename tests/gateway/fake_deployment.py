"""The fake API server, and a controller that starts fake inference processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.fake_cluster import SELECTOR, FakeCluster, endpoint, endpoint_slice, fake_cluster
from gateway.fake_inference import FakeInference, Script
from gateway.harness import HUB_ID, KEY, MODEL, Gateway, running_gateway
from sizeup_gateway.cluster.client import open_cluster
from sizeup_wire.catalog import Catalog, CatalogEntry, ScaleToZero

SERVICE = "sizeup-qwen"
DEPLOYMENT = "sizeup-qwen"


def placed(*, scales: bool = True, **fields: object) -> Catalog:
    """Create a catalog of one model in a Service, scaled to zero or not."""
    scale = ScaleToZero(deployment=DEPLOYMENT, keep_alive_seconds=300, startup_seconds=600)
    scaling = scale if scales else None
    entry = CatalogEntry(id=HUB_ID, names=(MODEL,), service=SERVICE, scale_to_zero=scaling)
    return Catalog(models={KEY: entry.model_copy(update=fields)})


class FakeDeployment:
    """Runs as many pods as the scale requires, each a fake inference process with its own slice.

    `starts` is cleared to let new pods wait before they are ready.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.pods: dict[str, FakeInference] = {}
        self.removed: list[FakeInference] = []
        self.starts = asyncio.Event()
        self.starts.set()
        self.script: Script | None = None
        """Of new pods."""
        self._made = 0
        cluster.add_deployment(DEPLOYMENT)
        cluster.on_scale = self._reconcile

    @property
    def pod(self) -> FakeInference:
        (pod,) = self.pods.values()
        return pod

    async def add_pod(self, pod: FakeInference | None = None) -> FakeInference:
        pod = pod or FakeInference(self.script)
        self._made += 1
        name = f"pod-{self._made}"
        self.pods[name] = pod
        await pod.start()
        pod.ready = self.starts.is_set()
        address = endpoint("127.0.0.1", name)
        await self.cluster.put(endpoint_slice(name, SERVICE, [address], port=pod.port))
        return pod

    async def terminate(self, pod: FakeInference) -> None:
        """Mark a pod as terminating; its requests continue."""
        name = next(name for name, known in self.pods.items() if known is pod)
        address = endpoint("127.0.0.1", name, terminating=True)
        await self.cluster.put(endpoint_slice(name, SERVICE, [address], port=pod.port))

    async def remove(self, pod: FakeInference) -> None:
        """Stop a pod and delete its slice."""
        name = next(name for name, known in self.pods.items() if known is pod)
        del self.pods[name]
        self.removed.append(pod)
        await self.cluster.delete(name)
        await pod.stop()

    async def stop(self) -> None:
        for pod in (*self.pods.values(), *self.removed):
            await pod.stop()

    async def _reconcile(self, deployment: str, _replicas: int) -> None:
        while len(self.pods) > self.cluster.replicas(deployment):
            await self.remove(next(iter(self.pods.values())))
        while len(self.pods) < self.cluster.replicas(deployment):
            pod = await self.add_pod()
            await self.starts.wait()
            pod.ready = True


@asynccontextmanager
async def fake_deployment() -> AsyncIterator[FakeDeployment]:
    async with fake_cluster() as cluster:
        deployment = FakeDeployment(cluster)
        try:
            yield deployment
        finally:
            await deployment.stop()


@asynccontextmanager
async def gateway_on(
    deployment: FakeDeployment, folder: Path, models: Catalog | None = None, **changes: Any
) -> AsyncIterator[Gateway]:
    """Run a gateway that discovers its replicas in the cluster."""
    config = deployment.cluster.kubeconfig(folder)
    async with (
        open_cluster(config, None, SELECTOR) as cluster,
        running_gateway(models=models or placed(), cluster=cluster, wait=False, **changes) as up,
    ):
        yield up
