"""What the gateway asks of Kubernetes, in its own words: EndpointSlices and the scale."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Json = Mapping[str, Any]


class ClusterError(Exception):
    """The API server cannot be asked, or says no."""


class ConflictError(ClusterError):
    """Somebody else has changed the object meanwhile."""


class UnreachableError(ClusterError):
    """The API server did not answer, or the connection broke: what is known still holds."""


class Change(StrEnum):
    """What happened to a slice."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    """Nothing; it only says how far the watch has come."""


@dataclass(frozen=True, slots=True)
class SliceEvent:
    """One event of a watch."""

    change: Change
    item: Json
    version: str
    """From here a watch can be resumed."""


@dataclass(frozen=True, slots=True)
class SliceList:
    """Every slice, and from where to watch."""

    items: Sequence[Json]
    version: str


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas a Deployment shall have."""

    replicas: int
    version: str
    """Writing succeeds only while this is still the newest."""


class SliceSource(Protocol):
    """Where EndpointSlices come from. Every method raises ClusterError."""

    async def list_slices(self) -> SliceList:
        """Return all of them."""

    def watch_slices(self, version: str) -> AsyncGenerator[SliceEvent]:
        """Yield what changes after a version; end now and then."""


class ScaleApi(Protocol):
    """Who scales Deployments. Every method raises ClusterError."""

    async def read_scale(self, deployment: str) -> Scale:
        """Return the scale."""

    async def write_scale(self, deployment: str, scale: Scale) -> None:
        """Write the scale, or raise ConflictError when its version is not the newest."""
