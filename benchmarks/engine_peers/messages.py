"""Messages between benchmarks/engine.py and a peer: one JSON object per line. Standard library."""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What a peer loads, and the largest load that it will receive. Its only argument, as JSON."""

    weights: str
    """A Hugging Face model folder, or a GGUF file."""
    device: str
    """cpu or cuda."""
    threads: int
    max_streams: int
    max_model_len: int
    """Tokens of prompt and output of a stream."""
    quantization: str | None = None
    """Of the weights when they are loaded."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that arrive at once."""

    streams: int
    prompt: int
    """Tokens of each prompt."""
    tokens: int
    """Tokens that each stream generates, greedily."""
    seed: int

    def prompts(self, vocab_size: int) -> list[list[int]]:
        """Return random prompts, equal for every peer and different for each seed."""
        source = random.Random(self.seed)
        return [source.choices(range(vocab_size), k=self.prompt) for _ in range(self.streams)]


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model."""

    settings: str
    """The settings that differ from the defaults of the peer."""
    vocab_size: int
    step_weight_bytes: int
    """Weights that a decode step reads: all but an embedding table that is not the output head."""
    kv_bytes_per_token: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The first line of a peer."""

    model: Model
    load_seconds: float
    """From the folder to the first token, imports excluded."""
    read_seconds: float
    """To read the bytes of the same files from the page cache."""
    weight_bytes: int
    """Of those files."""
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of one load, in seconds."""

    seconds: float
    """From the submission to the last token of the last stream."""
    ttft: Sequence[float]
    """From the submission to the first token of each stream."""
    decode_tokens: int
    """Generated while every stream decodes: after the last stream's first token, until a stream
    ends. 0 when a stream ends before that."""
    decode_seconds: float
    """The length of that period."""


def timing(submitted: float, streams: Sequence[Sequence[float]]) -> Timing:
    """Return the times of a load from the time of every token of every stream."""
    begin = max(times[0] for times in streams)
    end = min(times[-1] for times in streams)
    return Timing(
        seconds=max(times[-1] for times in streams) - submitted,
        ttft=[times[0] - submitted for times in streams],
        decode_tokens=sum(begin < time <= end for times in streams for time in times),
        decode_seconds=max(0.0, end - begin),
    )


@dataclass(frozen=True, slots=True)
class Measurement:
    """The answer to a load."""

    timing: Timing
    peak_rss_bytes: int
    """During this load."""
    peak_device_bytes: int
    """On a GPU; 0 on a CPU."""
