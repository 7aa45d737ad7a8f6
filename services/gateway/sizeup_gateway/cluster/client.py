"""Kubernetes client. Its library is imported only if there is a cluster: that takes about a second.

Responses are parsed as plain JSON and validated where they are used, so that fields added or
removed by later releases of Kubernetes do not break the client.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from yaml import YAMLError

from sizeup_gateway.cluster import rollouts
from sizeup_gateway.cluster.api import (
    Change,
    ClusterError,
    ConfigMap,
    ConflictError,
    JobEnd,
    Json,
    NotFoundError,
    Rollout,
    Scale,
    SliceEvent,
    UnreachableError,
)

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient, Configuration

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_CALL_SECONDS = 5.0
"""An API server responds in milliseconds; requests are queued meanwhile."""
_WATCH_SECONDS = 60
"""A watch ends after this time and is resumed: this detects silently dropped connections."""
_WATCH_GRACE_SECONDS = 10.0
_WATCH = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_SECONDS)}

_SLICES = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
_DEPLOYMENT = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
_SCALE = f"{_DEPLOYMENT}/scale"
_JOB = "/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
_CONFIG_MAPS = "/api/v1/namespaces/{namespace}/configmaps"
_CONFIG_MAP = f"{_CONFIG_MAPS}/{{name}}"

_SHOWN_CHARACTERS = 200
_ERRORS: Mapping[int, type[ClusterError]] = {404: NotFoundError, 409: ConflictError}
"""By status; others are a ClusterError."""


@asynccontextmanager
async def open_cluster(
    kubeconfig: Path | None, namespace: str | None, selector: str
) -> AsyncIterator["ClusterClient"]:
    """Connect to the API server; raise OSError or ValueError if it is not configured.

    Without a kubeconfig, the pod's service account provides address, token and namespace.
    """
    from kubernetes.aio import client, config

    try:
        configuration, default = await _configuration(kubeconfig)
    except (config.ConfigException, YAMLError) as error:
        raise ValueError(f"cannot connect to the Kubernetes API: {error}") from error
    # HTTP_PROXY is for traffic that leaves the cluster.
    configuration.client_session_kwargs = {"trust_env": False}
    async with client.ApiClient(configuration) as api:
        yield ClusterClient(api, namespace or default, selector)


async def _configuration(kubeconfig: Path | None) -> tuple["Configuration", str]:
    from kubernetes.aio import client, config

    configuration = client.Configuration()
    if kubeconfig is None:
        config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        namespace = await asyncio.to_thread(_NAMESPACE_FILE.read_text, encoding="utf-8")
        return configuration, namespace.strip()
    loader = await config.load_kube_config(  # type: ignore[no-untyped-call]
        str(kubeconfig), client_configuration=configuration, persist_config=False
    )
    return configuration, loader.current_context["context"].get("namespace", "default")


class ClusterClient:
    """Objects of one namespace; every method raises ClusterError."""

    def __init__(self, api: "ApiClient", namespace: str, selector: str) -> None:
        self._api = api
        self._namespace = namespace
        self._selector = selector

    async def list_slices(self) -> tuple[Sequence[Json], str]:
        """Return all slices, and the resource version from which to watch."""
        found = await _json(self._call("GET", _SLICES, query={"labelSelector": self._selector}))
        return found.get("items") or (), _version(found)

    def watch_slices(self, version: str) -> AsyncGenerator[SliceEvent]:
        """Yield the changes after a version; a watch ends after some time and is then resumed."""
        return self._watch(_SLICES, {"labelSelector": self._selector, "resourceVersion": version})

    async def read_scale(self, deployment: str) -> Scale:
        """Return the scale of a Deployment; a missing `replicas` is 0, Go's zero value."""
        found = await _json(self._call("GET", _SCALE, deployment))
        return Scale(int(found.get("spec", {}).get("replicas", 0)), _version(found))

    async def write_scale(self, deployment: str, scale: Scale) -> None:
        """Write the scale; raise ConflictError if its version is not the latest."""
        metadata = {"name": deployment, "namespace": self._namespace}
        body = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {**metadata, "resourceVersion": scale.version},
            "spec": {"replicas": scale.replicas},
        }
        await _json(self._call("PUT", _SCALE, deployment, body=body))

    async def read_rollout(self, deployment: str) -> Rollout:
        return rollouts.rollout(await _json(self._call("GET", _DEPLOYMENT, deployment)))

    async def resume_rollout(self, deployment: str, version: str) -> None:
        """Resume it, awaiting no Jobs; raise ConflictError if the version is not the latest."""
        await _json(self._call("PATCH", _DEPLOYMENT, deployment, body=rollouts.resumption(version)))

    async def read_job(self, name: str) -> JobEnd | None:
        """Return the end of a Job, None if it has not ended; raise NotFoundError without one."""
        return rollouts.job_end(await _json(self._call("GET", _JOB, name)))

    async def read_config_map(self, name: str) -> ConfigMap:
        """List the one object: a list has the version from which a watch can begin."""
        found = await _json(self._call("GET", _CONFIG_MAPS, query=_by_name(name)))
        try:
            (item,) = found["items"]
            return ConfigMap(item.get("data") or {}, _version(item), _version(found))
        except (KeyError, TypeError, ValueError) as error:
            raise ClusterError(f"no ConfigMap {name} in {self._namespace}") from error

    async def wait_for_config_map(self, name: str, watch_version: str) -> None:
        """Return after a later change, or when the watch ends."""
        query = {**_by_name(name), "resourceVersion": watch_version}
        async with aclosing(self._watch(_CONFIG_MAPS, query)) as events:
            async for event in events:
                if event.change is not Change.BOOKMARK:
                    return

    async def write_config_map(self, name: str, data: Mapping[str, str], version: str) -> None:
        """Write these keys only, if the version is the latest, else raise ConflictError."""
        body = {"metadata": {"resourceVersion": version}, "data": dict(data)}
        await _json(self._call("PATCH", _CONFIG_MAP, name, body=body))

    async def _watch(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[SliceEvent]:
        """Yield the events of a watch; raise ClusterError if its version has expired."""
        seconds = _WATCH_SECONDS + _WATCH_GRACE_SECONDS
        response = await self._call("GET", path, query={**query, **_WATCH}, seconds=seconds)
        try:
            async for line in response.content:
                yield _event(line)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"watch interrupted: {error!r}") from error
        finally:
            response.close()

    async def _call(
        self,
        method: str,
        path: str,
        name: str = "",
        *,
        query: Mapping[str, str] = {},
        body: Json | None = None,
        seconds: float = _CALL_SECONDS,
    ) -> aiohttp.ClientResponse:
        """Return a successful response; raise ClusterError for any other status."""
        kind = "merge-patch+json" if method == "PATCH" else "json"
        headers = {"Accept": "application/json", "Content-Type": f"application/{kind}"}
        try:
            request = await self._api.param_serialize(
                method,
                path,
                {"namespace": self._namespace, "name": name},
                list(query.items()),
                headers,
                body,
                auth_settings=["BearerToken"],
            )
            called = await self._api.call_api(*request, _request_timeout=seconds)
            response: aiohttp.ClientResponse = called.response
            if response.status < 300:
                return response
            async with asyncio.timeout(_CALL_SECONDS), response:
                text = await response.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"cannot connect to the Kubernetes API: {error!r}") from error
        raise _error(response.status, text)


async def _json(call: Awaitable[aiohttp.ClientResponse]) -> dict[str, Any]:
    response = await call
    try:
        found = await response.json()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise UnreachableError(f"response interrupted: {error!r}") from error
    finally:
        response.release()
    if not isinstance(found, dict):
        raise ClusterError("the response is not a JSON object")
    return found


def _by_name(name: str) -> Mapping[str, str]:
    """Select one object: a Role restricts lists and watches by name only with this selector."""
    return {"fieldSelector": f"metadata.name={name}"}


def _version(item: Json) -> str:
    try:
        version: str = item["metadata"]["resourceVersion"]
    except KeyError as error:
        raise ClusterError(f"{item.get('kind', 'object')} without {error}") from error
    return version


def _event(line: bytes) -> SliceEvent:
    try:
        event = json.loads(line)
        kind, item = event["type"], event["object"]
        if kind != "ERROR":
            return SliceEvent(Change(kind), item, item["metadata"]["resourceVersion"])
    except (ValueError, TypeError, KeyError) as error:
        raise ClusterError(f"malformed watch event: {error!r}") from error
    raise _error(item.get("code"), str(item.get("message")))


def _error(status: int | None, text: str) -> ClusterError:
    message = f"status {status}: {text[:_SHOWN_CHARACTERS]}"
    return _ERRORS.get(status or 0, ClusterError)(message)
