"""Figures of a load, from the samples of its rounds. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from engine_peers.messages import Model
from engine_peers.results import LoadResult, Sample

Rate = Callable[[LoadResult, Sample], float | None]
"""Tokens per second of one round; None where it cannot be measured."""


def output_rate(load: LoadResult, sample: Sample) -> float:
    """Generated tokens per second of the whole load, prefill included."""
    return load.streams * load.tokens / sample.seconds


def decode_rate(_load: LoadResult, sample: Sample) -> float | None:
    """Generated tokens per second while every stream decodes; None if they never did."""
    return sample.decode_tokens / sample.decode_seconds if sample.decode_tokens else None


def prefill_rate(load: LoadResult, sample: Sample) -> float:
    """Prompt tokens per second until the last stream's first token, without decode steps."""
    return load.streams * load.prompt / sample.prefill_seconds


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast one peer is as another, over paired rounds."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f} to {self.highest:.2f})"


def ratio(load: LoadResult, rate: Rate, peer: str, reference: str) -> Ratio | None:
    """Compare two peers; None where a round of either has no such rate."""
    pairs = [
        (rate(load, ours), rate(load, theirs))
        for ours, theirs in zip(load.samples[peer], load.samples[reference], strict=True)
    ]
    ratios = [ours / theirs for ours, theirs in pairs if ours and theirs]
    if len(ratios) < len(pairs):
        return None
    return Ratio(median(ratios), min(ratios), max(ratios))


def median_rate(load: LoadResult, rate: Rate, peer: str) -> float | None:
    """Return the median over the rounds; None where one of them has no such rate."""
    rates = [rate(load, sample) for sample in load.samples[peer]]
    known = [value for value in rates if value is not None]
    return median(known) if len(known) == len(rates) else None


def step_seconds(load: LoadResult, peer: str) -> float | None:
    """Return the median time of a decode step of all streams."""
    rate = median_rate(load, decode_rate, peer)
    return load.streams / rate if rate else None


def bandwidth_share(load: LoadResult, peer: str, model: Model) -> float | None:
    """Return the time to read a step's weights, keys and values over the time of the step.

    The context is that of the middle of the output.
    """
    if not (seconds := step_seconds(load, peer)):
        return None
    context = load.prompt + load.tokens / 2
    step_bytes = model.step_weight_bytes + load.streams * context * model.kv_bytes_per_token
    return step_bytes / median(load.bandwidth) / seconds


def median_of(samples: Sequence[Sample], field: Callable[[Sample], float]) -> float:
    """Return the median of a field over the rounds."""
    return median(field(sample) for sample in samples)
