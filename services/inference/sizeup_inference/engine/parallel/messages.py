"""What rank 0 and the other ranks send each other, pickled, over a socket that only they hold."""

import logging
from dataclasses import dataclass

import torch

from sizeup_inference.engine.forward import Batch
from sizeup_inference.engine.loading.make_forward import ForwardOptions
from sizeup_inference.engine.loading.weights import LoadOptions


@dataclass(frozen=True, slots=True)
class Join:
    """To a new rank, first: form the group."""

    rank: int
    size: int
    """Ranks, rank 0 included."""
    port: int
    """Of rank 0's store, on the loopback interface."""
    device_type: str
    """cpu or cuda."""
    log_level: int


@dataclass(frozen=True, slots=True)
class Load:
    """Load the rank's part of a model, in place of the one before."""

    load: LoadOptions
    forward: ForwardOptions


@dataclass(frozen=True, slots=True)
class Logits:
    """Compute the logits of hidden states, which rank 0 broadcasts next."""

    shape: tuple[int, ...]
    dtype: torch.dtype


Request = Load | Batch | Logits
"""A Batch: compute it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The rank's part is loaded."""

    memory_bytes: int
    """Of its weights."""
    device_bytes: int
    """The part of memory_bytes on accelerators."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The rank ends."""

    error: str
    traceback: str


Report = Loaded | Failed | logging.LogRecord
"""A LogRecord: one for the log of rank 0."""
