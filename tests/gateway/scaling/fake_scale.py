"""A Deployment and its replicas in memory, seen by several gateways."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from sizeup_gateway.cluster.api import ClusterError, ConflictError, Scale
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.observability.metrics import Metrics
from sizeup_gateway.replicas.inference_client import InferenceClient
from sizeup_gateway.scaling.activator import Activator
from sizeup_gateway.scaling.scaler import Scaler
from sizeup_wire.catalog import Autoscaling, Catalog, CatalogEntry, ScaleToZero
from sizeup_wire.model import Stats

NAME = "sizeup-x"
KEEP_ALIVE = 60.0
AUTOSCALING = Autoscaling(
    deployment=NAME, max_replicas=4, target_requests=8, stabilization_seconds=KEEP_ALIVE
)
SLEEPING = ScaleToZero(deployment=NAME, keep_alive_seconds=KEEP_ALIVE, startup_seconds=600)


def now() -> float:
    return asyncio.get_running_loop().time()


class FakeScale(InferenceClient):
    """A ScaleApi of one Deployment, and the client of its replicas, which share the load evenly."""

    def __init__(self, replicas: int = 1) -> None:
        super().__init__(1.0, 1.0, 1.0, 1.0)
        self.replicas = replicas
        self.version = 1
        self.load = 0
        """Requests that the replicas compute together."""
        self.writes: list[int] = []
        self.written_at: list[float] = []
        self.reads = 0
        self.conflicts = 0
        self.startable = 100
        """As many replicas become ready."""
        self.without_stats = 0
        self.refuses = False
        self.gateways: list[FakeGateway] = []
        self._idle_since = 0.0

    async def read_scale(self, _deployment: str) -> Scale:
        self.reads += 1
        await asyncio.sleep(0)
        if self.refuses:
            raise ClusterError("status 403")
        return Scale(self.replicas, str(self.version))

    async def write_scale(self, _deployment: str, scale: Scale) -> None:
        await asyncio.sleep(0)
        if scale.version != str(self.version):
            self.conflicts += 1
            raise ConflictError("status 409")
        self.writes.append(scale.replicas)
        self.written_at.append(now())
        self.set(scale.replicas)

    def set(self, replicas: int) -> None:
        """Change the scale, as `kubectl scale` does; the replicas follow at once."""
        self.replicas, self.version = replicas, self.version + 1
        for gateway in self.gateways:
            self.show(gateway.model)

    def show(self, model: Model) -> None:
        model.pool.set_endpoints([f"http://replica-{i}" for i in range(self.replicas)])
        for i, replica in enumerate(model.pool.replicas):
            model.pool.set_ready(replica, ready=i < self.startable)

    async def stats(self, base_url: str) -> Stats:
        index = int(base_url.rpartition("-")[2])
        if index < self.without_stats:
            raise OSError("reset")
        load = self.load
        self._idle_since = now() if load else self._idle_since
        ready = min(self.replicas, self.startable)
        return Stats(
            running=(load + ready - 1 - index) // ready,
            waiting=0,
            pages_used=0,
            pages_total=1,
            max_waiting=1,
            steps=0,
            prompt_tokens=0,
            completion_tokens=0,
            idle=not load,
            expires_at=self._idle_since + KEEP_ALIVE,
            now=now(),
        )


class FakeGateway:
    """The scaler of one gateway, which runs from `start` to `stop`."""

    def __init__(
        self,
        scale: FakeScale,
        autoscaling: Autoscaling | None = AUTOSCALING,
        scale_to_zero: ScaleToZero | None = None,
    ) -> None:
        entry = CatalogEntry(
            id="a/b",
            names=("x:1",),
            service=NAME,
            autoscaling=autoscaling,
            scale_to_zero=scale_to_zero,
        )
        models = Models(Catalog(models={"x": entry}))
        metrics = Metrics(CollectorRegistry())
        self.activator = Activator(scale, metrics, max_queued=100, queue_seconds=600.0)
        self.model = models.by_key["x"]
        self._scale = scale
        self._scaler = Scaler(models, scale, scale, self.activator)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._scale.gateways.append(self)
        self._scale.show(self.model)
        self._task = asyncio.create_task(self._scaler.run())

    async def stop(self) -> None:
        self._scale.gateways.remove(self)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def change(self, autoscaling: Autoscaling) -> None:
        """Reload the catalog."""
        self.model.entry = self.model.entry.model_copy(update={"autoscaling": autoscaling})

    @contextmanager
    def queued(self, requests: int) -> Iterator[None]:
        """Queue requests until a replica is ready."""
        tasks = [
            asyncio.create_task(self.activator.wait(self.activator.new_request(self.model, "x:1")))
            for _ in range(requests)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
