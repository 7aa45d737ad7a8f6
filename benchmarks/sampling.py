"""Time the sampling of a step by kind of sampling: the C kernels and torch, on the same rows.

    python benchmarks/sampling.py [--rows 1 8 32] [--vocabulary 151936] [--rounds 5]

Both run on one thread and in turn within each round; figures are medians in ms per step, of CPU
time, so that other processes do not count.
Logits are like a language model's, a few likely tokens above a Gaussian, or flat as those of random
weights are, where top_p keeps most of the vocabulary.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

import torch

from sizeup_inference.engine.kernels.sampling import SamplingKernels
from sizeup_inference.engine.protocol import EngineRequest, SamplingParams
from sizeup_inference.engine.sampling.sampler import KERNELS, sample
from sizeup_inference.engine.scheduling.sequence import SequenceState

KINDS = {
    "greedy": SamplingParams(temperature=0),
    "greedy, repetition_penalty": SamplingParams(temperature=0, repetition_penalty=1.1),
    "greedy, 5 logprobs": SamplingParams(temperature=0, logprobs=5),
    "temperature 1": SamplingParams(),
    "0.7, top_k 20, top_p 0.8": SamplingParams(temperature=0.7, top_k=20, top_p=0.8),
    "top_k 1000": SamplingParams(top_k=1000),
    "top_p 0.9": SamplingParams(top_p=0.9),
    "min_p 0.05": SamplingParams(min_p=0.05),
}

PROMPT = tuple(range(512))
"""Its tokens are penalised."""


def make_logits(kind: str, rows: int, vocabulary: int) -> torch.Tensor:
    """Return float32[rows, vocabulary], equal for equal arguments."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(rows, vocabulary, generator=generator)
    if kind == "flat":
        return logits * 0.5
    likely = torch.randint(0, vocabulary, (rows, 20), generator=generator)
    return (logits * 2).scatter_add_(1, likely, torch.linspace(10, 18, 20).expand(rows, 20))


def milliseconds(
    logits: torch.Tensor, params: SamplingParams, kernels: SamplingKernels | None
) -> float:
    """Time one step on a copy of the logits."""
    request = EngineRequest("", PROMPT, params, max_tokens=1)
    sequences = [SequenceState(request, index) for index in range(len(logits))]
    rows = logits.clone()
    started = time.thread_time()
    sample(rows, sequences, kernels)
    return (time.thread_time() - started) * 1e3


def compare(logits: torch.Tensor, params: SamplingParams, rounds: int) -> tuple[float, float]:
    """Return the median of the C kernels and of torch."""
    pairs = [
        (milliseconds(logits, params, KERNELS), milliseconds(logits, params, None))
        for _ in range(rounds + 1)
    ]
    compiled, plain = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
    return compiled, plain


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(arguments)
    if KERNELS is None:
        raise SystemExit("the sampling kernels are not built: install services/inference")
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, vocabulary {args.vocabulary}")
    print(f"{'logits':7} {'sampling':27} {'rows':>4} {'C ms':>9} {'torch ms':>9} {'torch/C':>8}")
    for shape in ("peaked", "flat"):
        for name, params in KINDS.items():
            for rows in args.rows:
                logits = make_logits(shape, rows, args.vocabulary)
                compiled, plain = compare(logits, params, args.rounds)
                figures = f"{compiled:9.2f} {plain:9.2f} {plain / compiled:8.1f}"
                print(f"{shape:7} {name:27} {rows:4d} {figures}", flush=True)


if __name__ == "__main__":
    main()
