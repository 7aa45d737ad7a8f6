"""The Kubernetes operations that the gateway needs: EndpointSlices and the scale subresource."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Json = Mapping[str, Any]


class ClusterError(Exception):
    """The API server is unreachable or returned an error."""


class ConflictError(ClusterError):
    """The object has changed since it was read."""


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
