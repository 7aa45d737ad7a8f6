"""Lengths of prompts and outputs: fixed, or drawn per request. Pure."""

import math
from random import Random

from sizeup_loadtest.config.workload import LengthDistribution


def draw(lengths: int | LengthDistribution, random: Random) -> int:
    """Return one length; those outside of min and max become min and max."""
    if isinstance(lengths, int):
        return lengths
    match lengths.distribution:
        case "uniform":
            return random.randint(lengths.min, lengths.max)
        case "normal":
            value = random.gauss(lengths.mean or 0.0, lengths.stdev)
        case "lognormal":
            value = _lognormal(lengths.mean or 1.0, lengths.stdev, random)
    return min(lengths.max, max(lengths.min, round(value)))


def typical(lengths: int | LengthDistribution) -> float:
    """Return the mean, before min and max cut the lengths."""
    if isinstance(lengths, int):
        return lengths
    return (lengths.min + lengths.max) / 2 if lengths.mean is None else lengths.mean


def _lognormal(mean: float, stdev: float, random: Random) -> float:
    """Draw from the lognormal distribution that has this mean and standard deviation itself."""
    variance = math.log1p((stdev / mean) ** 2)
    return random.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))
