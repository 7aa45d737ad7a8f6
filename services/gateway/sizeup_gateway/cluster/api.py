"""The Kubernetes operations that the gateway needs, on EndpointSlices, scales, rollouts, Jobs and
a ConfigMap."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Json = Mapping[str, Any]


class ClusterError(Exception):
    """The API server is unreachable or returned an error."""


class ConflictError(ClusterError):
    """The object has changed since it was read."""


class NotFoundError(ClusterError):
    """There is no object of this name."""


class UnreachableError(ClusterError):
    """The API server did not respond, or the connection broke; cached state stays valid."""


class Change(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    """No change: only a newer resource version to resume from."""


@dataclass(frozen=True, slots=True)
class SliceEvent:
    change: Change
    item: Json
    version: str
    """Resource version from which a watch can be resumed."""


@dataclass(frozen=True, slots=True)
class SliceList:
    """All slices, and the resource version to watch from."""

    items: Sequence[Json]
    version: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale subresource of a Deployment."""

    replicas: int
    version: str
    """Resource version: a write succeeds only while it is the latest."""


class SliceSource(Protocol):
    """Source of EndpointSlices. Every method raises ClusterError."""

    async def list_slices(self) -> SliceList:
        """Return all slices."""

    def watch_slices(self, version: str) -> AsyncGenerator[SliceEvent]:
        """Yield the changes after a version; a watch ends after some time and is then resumed."""


class ScaleApi(Protocol):
    """Scales Deployments. Every method raises ClusterError."""

    async def read_scale(self, deployment: str) -> Scale: ...

    async def write_scale(self, deployment: str, scale: Scale) -> None:
        """Write the scale; raise ConflictError if its version is not the latest."""


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """A ConfigMap."""

    data: Mapping[str, str]
    version: str
    """Resource version: a write succeeds only while it is the latest."""
    watch_version: str
    """Resource version from which to wait for a change."""


class ConfigMapApi(Protocol):
    """ConfigMaps by name. Every method raises ClusterError."""

    async def read_config_map(self, name: str) -> ConfigMap: ...

    async def wait_for_config_map(self, name: str, watch_version: str) -> None:
        """Return after a later change, or when the watch ends."""

    async def write_config_map(self, name: str, data: Mapping[str, str], version: str) -> None:
        """Write these keys; raise ConflictError if the version is not the latest."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The rollout of a Deployment."""

    awaited_jobs: Sequence[str]
    """Names of the Jobs that must be complete before it is resumed; empty if it awaits none."""
    version: str
    """Resource version: it is resumed only while this is the latest."""
    has_earlier: bool = False
    """Whether Kubernetes has rolled out an earlier template: its pods run on, and are scaled."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a Job has ended."""

    complete: bool
    reason: str = ""
    """Why it failed."""


class RolloutApi(Protocol):
    """Rollouts that are paused until Jobs are complete. Every method raises ClusterError."""

    async def read_rollout(self, deployment: str) -> Rollout: ...

    async def resume_rollout(self, deployment: str, version: str) -> None:
        """Resume it, awaiting no Jobs; raise ConflictError if the version is not the latest."""

    async def read_job(self, name: str) -> JobEnd | None:
        """Return the end of a Job, None if it has not ended; raise NotFoundError without one."""
