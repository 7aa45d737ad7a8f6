"""Kubernetes client. Imported only if there is a cluster: the import takes about a second.

Responses are parsed as plain JSON and validated where they are used, so that fields added or
removed by later releases of Kubernetes do not break the client.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from yaml import YAMLError

from sizeup_gateway.cluster import rollouts
from sizeup_gateway.cluster.api import (
    Change,
    ClusterError,
    ConfigMap,
    ConflictError,
    JobEnd,
    NotFoundError,
    Rollout,
    Scale,
    SliceEvent,
    SliceList,
    UnreachableError,
)

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_CALL_SECONDS = 5.0
"""An API server responds in milliseconds; requests are queued meanwhile."""
_WATCH_SECONDS = 60
"""A watch ends after this time and is resumed: this detects silently dropped connections."""
_WATCH_GRACE_SECONDS = 10.0
_WATCH: dict[str, Any] = {
    "watch": True,
    "allow_watch_bookmarks": True,
    "timeout_seconds": _WATCH_SECONDS,
    "_request_timeout": _WATCH_SECONDS + _WATCH_GRACE_SECONDS,
}

_MERGE_PATCH: dict[str, Any] = {
    "_content_type": "application/merge-patch+json",
    "_request_timeout": _CALL_SECONDS,
}

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
    try:
        configuration, default = await _configuration(kubeconfig)
    except (config.ConfigException, YAMLError) as error:
        raise ValueError(f"cannot connect to the Kubernetes API: {error}") from error
    # HTTP_PROXY is for traffic that leaves the cluster.
    configuration.client_session_kwargs = {"trust_env": False}
    async with client.ApiClient(configuration) as api:
        yield ClusterClient(api, namespace or default, selector)


async def _configuration(kubeconfig: Path | None) -> tuple[client.Configuration, str]:
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
    """EndpointSlices, scales, rollouts, Jobs and ConfigMaps of one namespace."""

    def __init__(self, api: client.ApiClient, namespace: str, selector: str) -> None:
        self._slices = client.DiscoveryV1Api(api)
        self._deployments = client.AppsV1Api(api)
        self._jobs = client.BatchV1Api(api)
        self._core = client.CoreV1Api(api)
        self._namespace = namespace
        self._selector = selector

    async def list_slices(self) -> SliceList:
        found = await _json(
            self._slices.list_namespaced_endpoint_slice_without_preload_content(
                self._namespace, label_selector=self._selector, _request_timeout=_CALL_SECONDS
            )
        )
        try:
            return SliceList(found.get("items") or (), found["metadata"]["resourceVersion"])
        except KeyError as error:
            raise ClusterError(f"EndpointSliceList without {error}") from error

    async def watch_slices(self, version: str) -> AsyncGenerator[SliceEvent]:
        """Yield the changes after a version; raise ClusterError if it has expired."""
        events = _watch(
            self._slices.list_namespaced_endpoint_slice_without_preload_content(
                self._namespace,
                label_selector=self._selector,
                resource_version=version,
                **_WATCH,
            )
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def read_scale(self, deployment: str) -> Scale:
        """Return the scale of a Deployment; a missing `replicas` is 0, Go's zero value."""
        found = await _json(
            self._deployments.read_namespaced_deployment_scale_without_preload_content(
                deployment, self._namespace, _request_timeout=_CALL_SECONDS
            )
        )
        try:
            replicas = int(found.get("spec", {}).get("replicas", 0))
            return Scale(replicas, found["metadata"]["resourceVersion"])
        except KeyError as error:
            raise ClusterError(f"Scale without {error}") from error

    async def write_scale(self, deployment: str, scale: Scale) -> None:
        body = client.V1Scale(
            api_version="autoscaling/v1",
            kind="Scale",
            metadata=client.V1ObjectMeta(
                name=deployment, namespace=self._namespace, resource_version=scale.version
            ),
            spec=client.V1ScaleSpec(replicas=scale.replicas),
        )
        await _json(
            self._deployments.replace_namespaced_deployment_scale_without_preload_content(
                deployment, self._namespace, body, _request_timeout=_CALL_SECONDS
            )
        )

    async def read_rollout(self, deployment: str) -> Rollout:
        return rollouts.rollout(
            await _json(
                self._deployments.read_namespaced_deployment_without_preload_content(
                    deployment, self._namespace, _request_timeout=_CALL_SECONDS
                )
            )
        )

    async def resume_rollout(self, deployment: str, version: str) -> None:
        await _json(
            self._deployments.patch_namespaced_deployment_without_preload_content(
                deployment, self._namespace, rollouts.resumption(version), **_MERGE_PATCH
            )
        )

    async def read_job(self, name: str) -> JobEnd | None:
        return rollouts.job_end(
            await _json(
                self._jobs.read_namespaced_job_without_preload_content(
                    name, self._namespace, _request_timeout=_CALL_SECONDS
                )
            )
        )

    async def read_config_map(self, name: str) -> ConfigMap:
        """List the one object: a list has the version from which a watch can begin."""
        found = await _json(
            self._core.list_namespaced_config_map_without_preload_content(
                self._namespace, field_selector=_by_name(name), _request_timeout=_CALL_SECONDS
            )
        )
        try:
            (item,) = found["items"]
            return ConfigMap(
                item.get("data") or {},
                item["metadata"]["resourceVersion"],
                found["metadata"]["resourceVersion"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ClusterError(f"no ConfigMap {name} in {self._namespace}") from error

    async def wait_for_config_map(self, name: str, watch_version: str) -> None:
        events = _watch(
            self._core.list_namespaced_config_map_without_preload_content(
                self._namespace,
                field_selector=_by_name(name),
                resource_version=watch_version,
                **_WATCH,
            )
        )
        async with aclosing(events):
            async for event in events:
                if event.change is not Change.BOOKMARK:
                    return

    async def write_config_map(self, name: str, data: Mapping[str, str], version: str) -> None:
        """Patch it: the rest of the object is other people's."""
        body = {"metadata": {"resourceVersion": version}, "data": dict(data)}
        await _json(
            self._core.patch_namespaced_config_map_without_preload_content(
                name,
                self._namespace,
                body,
                **_MERGE_PATCH,
            )
        )


def _by_name(name: str) -> str:
    """Select one object: a Role restricts lists and watches by name only with this selector."""
    return f"metadata.name={name}"


async def _watch(call: Awaitable[aiohttp.ClientResponse]) -> AsyncGenerator[SliceEvent]:
    """Yield the events of a watch; raise ClusterError if its version has expired."""
    response = await _response(call)
    try:
        async for line in response.content:
            yield _event(line)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UnreachableError(f"watch interrupted: {error!r}") from error
    finally:
        response.close()


def _event(line: bytes) -> SliceEvent:
    try:
        event = json.loads(line)
        kind, item = event["type"], event["object"]
        if kind != "ERROR":
            return SliceEvent(Change(kind), item, item["metadata"]["resourceVersion"])
    except (ValueError, TypeError, KeyError) as error:
        raise ClusterError(f"malformed watch event: {error!r}") from error
    raise _error(item.get("code"), str(item.get("message")))


async def _json(call: Awaitable[aiohttp.ClientResponse]) -> dict[str, Any]:
    response = await _response(call)
    try:
        found = await response.json()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise UnreachableError(f"response interrupted: {error!r}") from error
    finally:
        response.release()
    if not isinstance(found, dict):
        raise ClusterError("the response is not a JSON object")
    return found


async def _response(call: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
    """Return a successful response; raise ClusterError for any other status."""
    try:
        response = await call
        if response.status < 300:
            return response
        async with asyncio.timeout(_CALL_SECONDS), response:
            text = await response.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UnreachableError(f"cannot connect to the Kubernetes API: {error!r}") from error
    raise _error(response.status, text)


def _error(status: int | None, text: str) -> ClusterError:
    message = f"status {status}: {text[:_SHOWN_CHARACTERS]}"
    return _ERRORS.get(status or 0, ClusterError)(message)
