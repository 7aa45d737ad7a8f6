"""The state of a model, from the states of its replicas. Pure."""

from collections.abc import Iterable
from enum import StrEnum


class ModelState(StrEnum):
    """Whether a model serves requests; the first state that any replica is in wins."""

    READY = "ready"
    """A replica accepts requests."""
    LOADING = "loading"
    """A replica is starting, or will."""
    DOWNLOADING = "downloading"
    """The weights are being downloaded to the cache."""
    FAILED = "failed"
    """A replica cannot start, or has stopped working."""
    UNLOADED = "unloaded"
    """Scaled to zero: the next request activates it."""


_BY_REPLICA_STATE = {
    "downloading": ModelState.DOWNLOADING,
    "failed": ModelState.FAILED,
    "dead": ModelState.FAILED,
    "stalled": ModelState.FAILED,
}
"""Any other replica state, None included, means that the replica is starting."""

DRAINING = "draining"
"""Of a replica that will serve no further request: it says nothing about the model."""
_ENDED = (None, "failed")
"""States of a process that was scaled down where its address stays, as of `sizeup up`."""

DESCRIPTIONS = {
    ModelState.READY: "is loading",  # between two states: a replica was or will be ready
    ModelState.LOADING: "is loading",
    ModelState.DOWNLOADING: "is downloading",
    ModelState.FAILED: "has failed",
    ModelState.UNLOADED: "is unloaded",
}
"""The predicates of "model 'x' ..." in an error message."""


def model_state(
    replica_states: Iterable[str | None],
    *,
    ready: bool,
    scales_to_zero: bool,
    desired_replicas: int | None,
    download: str | None = None,
) -> ModelState:
    """Combine what /readyz of each replica reports; None is a replica that does not respond.

    `desired_replicas` is the scale of the Deployment, None if it is unknown; `download` the state
    of a download without which no replica can start, None if there is none.
    """
    if ready:
        return ModelState.READY
    if scales_to_zero and desired_replicas == 0:
        replica_states = [state for state in replica_states if state not in _ENDED]
    awaited = () if download is None else (download,)
    found = {
        _BY_REPLICA_STATE.get(state or "", ModelState.LOADING)
        for state in (*replica_states, *awaited)
        if state != DRAINING
    }
    for state in ModelState:
        if state in found:
            return state
    return ModelState.UNLOADED if scales_to_zero and not desired_replicas else ModelState.LOADING


def state_after_refused_connection(previous: str | None) -> str | None:
    """Infer the state of a replica whose port refuses connections from its previous state.

    A process that was loading has crashed. One that was downloading is moving from the init
    container to loading, and one that was ready restarts: both count as starting.
    """
    return "failed" if previous in ("loading", "failed") else None
