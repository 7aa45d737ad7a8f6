"""A Kubernetes API server on a loopback port, with the operations that the gateway uses."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from gateway.fake_rollouts import FakeRollouts

NAMESPACE = "models"
SELECTOR = "app.kubernetes.io/component=inference"

Json = dict[str, Any]


def endpoint(address: str, uid: str | None = None, *, terminating: bool = False) -> Json:
    conditions = {"ready": False, "serving": True, "terminating": terminating}
    target = {"kind": "Pod", "name": f"pod-{uid}", "uid": uid}
    return {"addresses": [address], "conditions": conditions, "targetRef": target if uid else None}


def endpoint_slice(
    name: str,
    service: str,
    endpoints: Iterable[Json] = (),
    port: int = 8080,
    family: str = "IPv4",
) -> Json:
    """Create a slice as the API server encodes it: null for no endpoints."""
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {
                "kubernetes.io/service-name": service,
                "app.kubernetes.io/component": "inference",
            },
        },
        "addressType": family,
        "endpoints": list(endpoints) or None,
        "ports": [
            {"name": "metrics", "port": 9090, "protocol": "TCP"},
            {"name": "http", "port": port, "protocol": "TCP"},
        ],
    }


class FakeCluster:
    """Slices and scales with resource versions."""

    def __init__(self) -> None:
        self.version = 100
        self.oldest = 0
        """A watch from an earlier version gets 410."""
        self.slices: dict[str, Json] = {}
        self.scales: dict[str, Json] = {}
        self.config_maps: dict[str, Json] = {}
        self.rollouts = FakeRollouts()
        self.lists = 0
        self.watches: list[int] = []
        """The version at which each watch started."""
        self.scale_reads = 0
        self.writes: list[tuple[str, int]] = []
        """Scales that were written, without conflicts."""
        self.conflicts = 0
        self.on_scale: Callable[[str, int], Awaitable[None]] | None = None
        """In place of the controllers: called after every change of a scale."""
        self.before_write: Callable[[], Awaitable[None]] | None = None
        self.refusal: int | None = None
        """While set, every call returns this status."""
        self._history: list[tuple[int, Json]] = []
        self._news = asyncio.Condition()
        self.watching = 0
        self._round = 0
        self._reacting: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        """Listen; a restart keeps port and state."""
        base = f"/namespaces/{NAMESPACE}"
        scale = f"/apis/apps/v1{base}/deployments/{{name}}/scale"
        app = web.Application()
        app.router.add_get(f"/apis/discovery.k8s.io/v1{base}/endpointslices", self._slices)
        app.router.add_get(scale, self._read_scale)
        app.router.add_put(scale, self._write_scale)
        self.rollouts.add_routes(app, base)
        app.router.add_get(f"/api/v1{base}/configmaps", self._config_maps)
        app.router.add_patch(f"/api/v1{base}/configmaps/{{name}}", self._patch_config_map)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = runner.addresses[0][1]
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            for site in list(runner.sites):
                await site.stop()
            await asyncio.sleep(0)  # connections that were just accepted are registered now
            if runner.server is not None:
                for connection in runner.server.connections:
                    if connection.transport is not None:
                        connection.transport.abort()
            await runner.cleanup()

    def kubeconfig(self, folder: Path) -> Path:
        server = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}
        file = folder / "kubeconfig"
        file.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [server],
                    "users": [{"name": "u", "user": {"token": "secret"}}],
                    "contexts": [context],
                    "current-context": "x",
                }
            ),
            encoding="utf-8",
        )
        return file

    async def put(self, item: Json) -> None:
        """Create or change a slice."""
        name = item["metadata"]["name"]
        await self._record("MODIFIED" if name in self.slices else "ADDED", item)
        self.slices[name] = item

    async def delete(self, name: str) -> None:
        await self._record("DELETED", self.slices.pop(name))

    async def bookmark(self) -> None:
        await self._record("BOOKMARK", {"kind": "EndpointSlice", "metadata": {}})

    def forget_history(self) -> None:
        """Return 410 to every watch from an earlier version."""
        self.oldest = self.version

    async def end_watches(self) -> None:
        """End every watch after its pending events, as the API server does from time to time."""
        self._round += 1
        async with self._news:
            self._news.notify_all()

    def add_deployment(self, name: str, replicas: int = 0) -> None:
        self.version += 1
        self.scales[name] = {"replicas": replicas, "version": self.version}

    async def put_config_map(self, name: str, data: Json | None = None) -> None:
        """Create or change a ConfigMap; the API server omits empty data."""
        self.version += 1
        metadata = {"name": name, "resourceVersion": str(self.version)}
        self.config_maps[name] = {"metadata": metadata, **({"data": data} if data else {})}
        async with self._news:
            self._news.notify_all()

    def replicas(self, name: str) -> int:
        count: int = self.scales[name]["replicas"]
        return count

    @property
    def _newest(self) -> int:
        return self._history[-1][0] if self._history else 0

    async def _record(self, kind: str, item: Json) -> None:
        self.version += 1
        item["metadata"] = {**item["metadata"], "resourceVersion": str(self.version)}
        self._history.append((self.version, {"type": kind, "object": dict(item)}))
        async with self._news:
            self._news.notify_all()

    async def _slices(self, request: web.Request) -> web.StreamResponse:
        assert request.query["labelSelector"] == SELECTOR
        assert request.headers["Authorization"] == "Bearer secret"
        if self.refusal is not None:
            return _status(self.refusal)
        if request.query.get("watch"):
            return await self._watch(request, int(request.query["resourceVersion"]))
        self.lists += 1
        metadata = {"resourceVersion": str(self.version)}
        return web.json_response({"metadata": metadata, "items": list(self.slices.values())})

    async def _watch(self, request: web.Request, version: int) -> web.StreamResponse:
        assert request.query["allowWatchBookmarks"]
        self.watches.append(version)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if version < self.oldest:
            expired = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            await response.write(json.dumps({"type": "ERROR", "object": expired}).encode() + b"\n")
            return response
        self.watching += 1
        first_round = self._round
        try:
            while True:
                for at, event in [(at, e) for at, e in self._history if at > version]:
                    await response.write(json.dumps(event).encode() + b"\n")
                    version = at
                if self._round != first_round:
                    return response
                async with self._news:
                    while self._round == first_round and self._newest <= version:
                        await self._news.wait()
        finally:
            self.watching -= 1

    async def _config_maps(self, request: web.Request) -> web.StreamResponse:
        field, name = request.query["fieldSelector"].split("=")
        assert field == "metadata.name"
        if self.refusal is not None:
            return _status(self.refusal)
        if not request.query.get("watch"):
            metadata = {"resourceVersion": str(self.version)}
            items = [item for known, item in self.config_maps.items() if known == name]
            return web.json_response({"metadata": metadata, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        async with self._news:
            while int(self.config_maps[name]["metadata"]["resourceVersion"]) <= since:
                await self._news.wait()
        event = {"type": "MODIFIED", "object": self.config_maps[name]}
        await response.write(json.dumps(event).encode() + b"\n")
        return response

    async def _patch_config_map(self, request: web.Request) -> web.Response:
        assert request.headers["Content-Type"] == "application/merge-patch+json"
        if self.refusal is not None:
            return _status(self.refusal)
        if self.before_write is not None:
            await self.before_write()
        name, patch = request.match_info["name"], await request.json()
        known = self.config_maps[name]
        if patch["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            self.conflicts += 1
            return _status(409)
        await self.put_config_map(name, {**known.get("data", {}), **patch["data"]})
        return web.json_response(self.config_maps[name])

    async def _read_scale(self, request: web.Request) -> web.Response:
        self.scale_reads += 1
        if self.refusal is not None:
            return _status(self.refusal)
        name = request.match_info["name"]
        known = self.scales.get(name)
        return _status(404) if known is None else web.json_response(_scale(name, known))

    async def _write_scale(self, request: web.Request) -> web.Response:
        if self.refusal is not None:
            return _status(self.refusal)
        if self.before_write is not None:
            await self.before_write()
        name, body = request.match_info["name"], await request.json()
        known = self.scales[name]
        if body["metadata"]["resourceVersion"] != str(known["version"]):
            self.conflicts += 1
            return _status(409)
        replicas = body["spec"]["replicas"]
        self.version += 1
        self.scales[name] = {"replicas": replicas, "version": self.version}
        self.writes.append((name, replicas))
        if self.on_scale is not None:
            task = asyncio.ensure_future(self.on_scale(name, replicas))
            self._reacting.add(task)
            task.add_done_callback(self._reacting.discard)
        return web.json_response(_scale(name, self.scales[name]))


def _scale(name: str, known: Json) -> Json:
    spec = {"replicas": known["replicas"]} if known["replicas"] else {}
    metadata = {"name": name, "resourceVersion": str(known["version"])}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec}


def _status(code: int) -> web.Response:
    status = {"kind": "Status", "code": code, "message": f"refused with {code}"}
    return web.json_response(status, status=code)


@asynccontextmanager
async def fake_cluster() -> AsyncIterator[FakeCluster]:
    cluster = FakeCluster()
    await cluster.start()
    try:
        yield cluster
    finally:
        await cluster.stop()
