"""What is said of a model: whether it answers, and if not, why. Pure."""

from collections.abc import Iterable
from enum import StrEnum


class ModelState(StrEnum):
    """How far a model is from answering, the nearest first."""

    READY = "ready"
    """A replica takes requests."""
    LOADING = "loading"
    """A replica is starting, or will."""
    DOWNLOADING = "downloading"
    """The weights are on their way to the cache."""
    FAILED = "failed"
    """A replica cannot start, or has stopped working."""
    UNLOADED = "unloaded"
    """Scaled to zero: the next request starts it."""


_SAID = {
    "downloading": ModelState.DOWNLOADING,
    "failed": ModelState.FAILED,
    "dead": ModelState.FAILED,
    "stalled": ModelState.FAILED,
}
"""What a replica says of itself; everything else, silence included, is a replica that starts."""

_LEAVING = "draining"

_IN_WORDS = {
    ModelState.READY: "is loading",  # it was ready a moment ago, or will be in one
    ModelState.LOADING: "is loading",
    ModelState.DOWNLOADING: "is downloading",
    ModelState.FAILED: "has failed",
    ModelState.UNLOADED: "is unloaded",
}


def model_state(
    said: Iterable[str | None], *, ready: bool, scales_to_zero: bool, desired: int | None
) -> ModelState:
    """Judge a model by what its replicas say; `desired` is their number, None if nobody knows."""
    if ready:
        return ModelState.READY
    states = {_SAID.get(word or "", ModelState.LOADING) for word in said if word != _LEAVING}
    for state in ModelState:
        if state in states:
            return state
    return ModelState.UNLOADED if scales_to_zero and not desired else ModelState.LOADING


def refused_after(said: str | None) -> str | None:
    """Tell what a replica is whose port refuses, by what it said before.

    One that was loading has ended at it. One that was downloading is on its way from waiting for
    the weights to loading them, and one that was ready starts again.
    """
    return "failed" if said in ("loading", "failed") else None


def in_words(state: ModelState) -> str:
    """Return what follows "model 'x'" in a refusal."""
    return _IN_WORDS[state]
