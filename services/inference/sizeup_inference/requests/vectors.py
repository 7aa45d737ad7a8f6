"""Pooled hidden states -> the vectors of a response. Pure."""

import base64
import math
import sys
from array import array
from dataclasses import dataclass

from sizeup_inference.engine.protocol import Pooling


@dataclass(frozen=True, slots=True)
class EmbeddingConfig:
    """How a model makes vectors."""

    pooling: Pooling = Pooling.MEAN
    """Of a model that is not made for it the mean, as in llama.cpp."""
    normalize: bool = False
    """Every vector has length 1."""


def shorten(vector: "array[float]", dimensions: int | None, *, normalize: bool) -> "array[float]":
    """Return the first components (Matryoshka), all without `dimensions`; scaled to length 1."""
    vector = vector[:dimensions]
    if not normalize:
        return vector
    length = math.hypot(*vector) or 1.0
    return array("f", [component / length for component in vector])


def to_base64(vector: "array[float]") -> str:
    """Return float32, little-endian, in base64."""
    if sys.byteorder == "big":
        vector = vector[:]
        vector.byteswap()
    return base64.b64encode(vector).decode("ascii")
