"""From the engine's vectors to those of a response."""

import base64
import math
import struct
from array import array

import pytest

from sizeup_inference.requests.vectors import shorten, to_base64

VECTOR = array("f", [3.0, 4.0, 12.0])


@pytest.mark.parametrize(
    ("dimensions", "normalize", "expected"),
    [
        (None, False, [3, 4, 12]),
        (None, True, [3 / 13, 4 / 13, 12 / 13]),
        (2, False, [3, 4]),
        (2, True, [0.6, 0.8]),
        (3, True, [3 / 13, 4 / 13, 12 / 13]),
        (4, False, [3, 4, 12]),
    ],
)
def test_a_vector_is_cut_and_then_scaled(
    dimensions: int | None, normalize: bool, expected: list[float]
) -> None:
    assert list(shorten(VECTOR, dimensions, normalize=normalize)) == pytest.approx(expected)


def test_a_vector_of_zeros_stays_one() -> None:
    assert list(shorten(array("f", [0.0, 0.0]), None, normalize=True)) == [0.0, 0.0]


def test_large_and_small_components_are_scaled_without_overflow() -> None:
    for size in (1e38, 1e-38):
        scaled = shorten(array("f", [size] * 4096), None, normalize=True)
        assert math.hypot(*scaled) == pytest.approx(1, rel=1e-5)


def test_base64_is_of_little_endian_float32() -> None:
    assert base64.b64decode(to_base64(VECTOR)) == struct.pack("<3f", *VECTOR)
