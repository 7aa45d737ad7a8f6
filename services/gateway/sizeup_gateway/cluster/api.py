"""What the gateway reads and writes in the cluster, and how that fails."""

from collections.abc import Mapping, Sequence
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
class Scale:
    replicas: int
    version: str
    """Resource version: a write succeeds only while it is the latest."""


class ScaleApi(Protocol):
    """Scales Deployments. Every method raises ClusterError."""

    async def read_scale(self, deployment: str) -> Scale: ...

    async def write_scale(self, deployment: str, scale: Scale) -> None:
        """Write the scale; raise ConflictError if its version is not the latest."""


@dataclass(frozen=True, slots=True)
class ConfigMap:
    data: Mapping[str, str]
    version: str
    """Resource version: a write succeeds only while it is the latest."""
    watch_version: str
    """Resource version from which to wait for a change."""


@dataclass(frozen=True, slots=True)
class Rollout:
    awaited_jobs: Sequence[str]
    """Names of the Jobs that must be complete before it is resumed; empty if it awaits none."""
    version: str
    """Resource version: it is resumed only while this is the latest."""
    has_earlier: bool = False
    """Whether Kubernetes has rolled out an earlier template: its pods run on, and are scaled."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    complete: bool
    reason: str = ""
    """Why it failed."""
