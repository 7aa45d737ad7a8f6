"""A catalog that changes while the gateway runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.fake_deployment import DEPLOYMENT, FakeDeployment, fake_deployment, gateway_on, placed
from gateway.fake_inference import FakeInference, fake_inference, finished, started
from gateway.harness import KEY, MODEL, Gateway, catalog, running_gateway, until
from sizeup_gateway.errors import ModelNotFoundError
from sizeup_gateway.models.catalog import Models
from sizeup_wire.catalog import Catalog, CatalogEntry
from sizeup_wire.events import Event, Text
from sizeup_wire.generate import GenerateRequest

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": False}
OTHER = "other:1b"


class Mount:
    """A ConfigMap as the kubelet mounts it: `models.yaml` -> `..data/models.yaml` -> a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turns = 0
        self.file = folder / "models.yaml"
        self.file.symlink_to(Path("..data") / "models.yaml")

    def put(self, content: Catalog | str) -> None:
        """Write a new folder and move the symlink to it atomically."""
        if isinstance(content, Catalog):
            content = yaml.safe_dump(content.model_dump(mode="json"))
        self._turns += 1
        deployment = self._folder / f"..{self._turns}"
        deployment.mkdir()
        (deployment / "models.yaml").write_text(content, encoding="utf-8")
        link = self._folder / "..next"
        link.symlink_to(deployment.name)
        link.rename(self._folder / "..data")


def with_other(*urls: str, known: Catalog) -> Catalog:
    other = CatalogEntry(id="Qwen/Other", names=(OTHER,), replicas=urls)
    return Catalog(models={**known.models, "other": other})


def reloads(gateway: Gateway, outcome: str) -> float:
    return gateway.sample("catalog_reloads_total", outcome=outcome)


def refused(gateway: Gateway) -> bool:
    return gateway.sample("catalog_invalid") == 1


Scenario = Callable[[Mount, Gateway, FakeInference, FakeInference], Awaitable[None]]


def reloading(folder: Path, scenario: Scenario) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            one, two = [await stack.enter_async_context(fake_inference()) for _ in range(2)]
            mount = Mount(folder)
            mount.put(catalog(one.url))
            gateway = await stack.enter_async_context(
                running_gateway(one, catalog=mount.file, catalog_poll_seconds=0.02)
            )
            await scenario(mount, gateway, one, two)

    asyncio.run(run())


def test_models_are_added_and_removed_while_requests_run(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def script(_request: GenerateRequest) -> AsyncIterator[Event | bytes]:
        yield started()
        yield Text(text="one")
        await go.wait()
        yield finished(1)

    async def scenario(
        mount: Mount, gateway: Gateway, one: FakeInference, two: FakeInference
    ) -> None:
        one.script = script
        pending = asyncio.create_task(gateway.post("/api/chat", CHAT))
        await until(lambda: one.live == 1)
        mount.put(with_other(two.url, known=catalog(one.url)))
        await until(lambda: gateway.sample("replicas_ready", model="other") == 1)
        assert (await gateway.post("/api/chat", CHAT | {"model": OTHER}))[0] == 200
        mount.put(with_other(two.url, known=Catalog(models={})))
        await until(lambda: reloads(gateway, "ok") == 2)
        assert (await gateway.post("/api/chat", CHAT))[0] == 404
        _, listed = await gateway.get("/v1/models")
        assert [model["id"] for model in listed["data"]] == [OTHER]
        assert (
            gateway.registry.get_sample_value("sizeup_gateway_replicas_ready", {"model": KEY})
            is None
        )
        go.set()
        status, _, text = await pending
        assert (status, '"done":true' in text) == (200, True)

    reloading(tmp_path, scenario)


def test_a_changed_name_keeps_the_replicas(tmp_path: Path) -> None:
    async def scenario(
        mount: Mount, gateway: Gateway, one: FakeInference, _two: FakeInference
    ) -> None:
        probes = one.probes
        renamed = catalog(one.url).models[KEY].model_copy(update={"names": ("renamed:1b",)})
        mount.put(Catalog(models={KEY: renamed}))
        await until(lambda: reloads(gateway, "ok") == 1)
        assert gateway.sample("replicas_ready", model=KEY) == 1
        assert (await gateway.post("/api/chat", CHAT | {"model": "renamed:1b"}))[0] == 200
        assert (await gateway.post("/api/chat", CHAT))[0] == 404
        await until(lambda: one.probes > probes + 2)

    reloading(tmp_path, scenario)


def test_a_changed_service_is_followed(tmp_path: Path) -> None:
    async def scenario(
        mount: Mount, gateway: Gateway, one: FakeInference, two: FakeInference
    ) -> None:
        mount.put(catalog(two.url))
        await until(lambda: two.probes > 0)
        await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        assert (len(one.requests), len(two.requests)) == (0, 1)

    reloading(tmp_path, scenario)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("models: [", "while parsing"),
        ("", "valid dictionary"),
        ("models: {a: {id: x}}", "names"),
        ("models: {a: {id: x, names: [n]}, b: {id: y, names: [N]}}", "models 'a' and 'b'"),
        ("models: {a: {id: x, names: [n], service: s}}", "DISCOVERY=kubernetes"),
        ("models: \xff\x00", "special characters"),
    ],
)
def test_an_invalid_catalog_changes_nothing(
    tmp_path: Path, content: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(
        mount: Mount, gateway: Gateway, one: FakeInference, two: FakeInference
    ) -> None:
        labels = {"outcome": "failed"}
        name = "sizeup_gateway_catalog_reloads_total"
        assert gateway.registry.get_sample_value(name, labels) == 0
        mount.put(content)
        await until(lambda: refused(gateway))
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        mount.put(with_other(two.url, known=catalog(one.url)))
        await until(lambda: not refused(gateway))
        assert (reloads(gateway, "ok"), reloads(gateway, "failed")) == (1, 1)

    reloading(tmp_path, scenario)
    (record,) = [r for r in caplog.records if r.getMessage() == "catalog.invalid"]
    assert (record.levelno, reason in vars(record)["error"]) == (logging.ERROR, True)


def test_a_missing_file_changes_nothing(tmp_path: Path) -> None:
    async def scenario(
        mount: Mount, gateway: Gateway, one: FakeInference, two: FakeInference
    ) -> None:
        mount.file.unlink()
        await until(lambda: refused(gateway))
        assert (await gateway.post("/api/chat", CHAT))[0] == 200
        mount.file.symlink_to(Path("..data") / "models.yaml")
        await until(lambda: not refused(gateway))
        mount.file.unlink()
        await until(lambda: reloads(gateway, "failed") == 2)
        mount.put(with_other(two.url, known=catalog(one.url)))
        mount.file.symlink_to(Path("..data") / "models.yaml")
        await until(lambda: reloads(gateway, "ok") == 1)

    reloading(tmp_path, scenario)


BATCH: dict[str, Any] = {"model": MODEL, "prompt": list("abcdef")}


@pytest.mark.parametrize(("path", "body"), [("/api/chat", CHAT), ("/v1/completions", BATCH)])
def test_requests_queued_for_a_removed_model_fail_at_once(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    async def run() -> None:
        mount = Mount(tmp_path)
        mount.put(placed())
        async with (
            fake_deployment() as deployment,
            gateway_on(
                deployment, tmp_path, catalog=mount.file, catalog_poll_seconds=0.02
            ) as gateway,
        ):
            await scenario(deployment, gateway, mount)

    async def scenario(deployment: FakeDeployment, gateway: Gateway, mount: Mount) -> None:
        deployment.starts.clear()
        pending = asyncio.create_task(gateway.post(path, body))
        await until(lambda: bool(deployment.pods))
        assert gateway.sample("requests_queued", model=KEY) == 1
        mount.put(Catalog(models={}))
        status, _, text = await pending
        assert (status, f"model '{MODEL}' not found" in text) == (404, True)
        assert gateway.sample("queue_duration_seconds_count", model=KEY) == 1
        assert deployment.cluster.writes == [(DEPLOYMENT, 1)]
        mount.put(placed(scales=False))
        await until(lambda: reloads(gateway, "ok") == 2)
        deployment.starts.set()
        deployment.pod.ready = True
        await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)

    asyncio.run(run())


def test_a_catalog_reload_does_not_replace_the_first_list_of_slices(tmp_path: Path) -> None:
    async def run() -> None:
        mount = Mount(tmp_path)
        mount.put(placed())
        async with fake_deployment() as deployment:
            await deployment.add_pod()
            deployment.cluster.refusal = 503
            async with gateway_on(
                deployment, tmp_path, catalog=mount.file, catalog_poll_seconds=0.02
            ) as gateway:
                mount.put(placed(names=("renamed:1b",)))
                await until(lambda: reloads(gateway, "ok") == 1)
                assert await gateway.get("/readyz") == (503, {"status": "starting"})
                deployment.cluster.refusal = None
                await until(lambda: gateway.sample("replicas_ready", model=KEY) == 1)
                assert await gateway.get("/readyz") == (200, {"status": "ok"})

    asyncio.run(run())


def test_a_catalog_with_a_duplicate_name_changes_nothing() -> None:
    models = Models(catalog("http://a"))
    before = dict(models.by_key)
    clash = CatalogEntry(id="x", names=("n:1",)), CatalogEntry(id="y", names=("n:1",))
    with pytest.raises(ValueError, match="models '"):
        models.apply(Catalog(models={"x": clash[0], "y": clash[1]}))
    assert models.by_key == before
    assert models.find(MODEL) is before[KEY]
    assert models.apply(Catalog(models={})) == [before[KEY]]
    with pytest.raises(ModelNotFoundError):
        models.find(MODEL)
