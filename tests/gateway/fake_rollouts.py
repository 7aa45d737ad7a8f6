"""Deployments and Jobs of the fake API server, for rollouts that await Jobs."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Json = dict[str, Any]


class FakeRollouts:
    """Deployments with resource versions, and Jobs."""

    def __init__(self) -> None:
        self.deployments: dict[str, Json] = {}
        self.jobs: dict[str, Json] = {}
        self.reads = 0
        """Of Deployments."""
        self.conflicts = 0
        self.before_write: Callable[[], Awaitable[None]] | None = None
        self.refusal: int | None = None
        """While set, every call returns this status."""
        self._version = 0

    def add_routes(self, app: web.Application, base: str) -> None:
        """Serve below the path of the namespace."""
        deployment = f"/apis/apps/v1{base}/deployments/{{name}}"
        app.router.add_get(deployment, self._read_deployment)
        app.router.add_patch(deployment, self._patch_deployment)
        app.router.add_get(f"/apis/batch/v1{base}/jobs/{{name}}", self._read_job)

    def pause(self, name: str, *jobs: str, has_earlier: bool = False) -> None:
        """Pause a Deployment until these Jobs are complete, as the chart does."""
        annotations = {"sizeup.dev/download": ",".join(jobs), "other": "stays"}
        if has_earlier:
            annotations["deployment.kubernetes.io/revision"] = "1"
        metadata = {"resourceVersion": self._next_version(), "annotations": annotations}
        self.deployments[name] = {"metadata": metadata, "spec": {"paused": True, "replicas": 1}}

    def is_paused(self, name: str) -> bool:
        return bool(self.deployments[name]["spec"].get("paused"))

    def put_job(self, name: str, condition: str | None = None, **fields: str) -> None:
        """Create or change a Job: running, or ended with a condition."""
        ended = [{"type": condition, "status": "True", **fields}] if condition else None
        self.jobs[name] = {"status": {"conditions": ended}}

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)

    async def _read_deployment(self, request: web.Request) -> web.Response:
        self.reads += 1
        return self._found(self.deployments, request)

    async def _read_job(self, request: web.Request) -> web.Response:
        return self._found(self.jobs, request)

    def _found(self, objects: dict[str, Json], request: web.Request) -> web.Response:
        known = objects.get(request.match_info["name"])
        status = self.refusal or (404 if known is None else 200)
        return web.json_response(known or {}, status=status)

    async def _patch_deployment(self, request: web.Request) -> web.Response:
        assert request.headers["Content-Type"] == "application/merge-patch+json"
        if self.before_write is not None:
            await self.before_write()
        known, patch = self.deployments[request.match_info["name"]], await request.json()
        if patch["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            self.conflicts += 1
            return web.json_response({}, status=409)
        _merge(known, patch)
        known["metadata"]["resourceVersion"] = self._next_version()
        return web.json_response(known)


def _merge(known: Json, patch: Json) -> None:
    """Apply a JSON merge patch."""
    for key, value in patch.items():
        if isinstance(value, dict):
            _merge(known.setdefault(key, {}), value)
        elif value is None:
            known.pop(key, None)
        else:
            known[key] = value
