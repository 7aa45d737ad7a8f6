"""How long decode attention takes, beside reading the keys and values that it needs.

    python benchmarks/decode_attention.py [--streams 32] [--context 512] [--shape qwen1.5-0.5b]

In this process, on the forward pass of an inference process with random weights. A decode step at
the given context and one at a single page alternate: what the first takes longer is the attention
to the tokens between. It is compared with the time to read their keys and values at the memory
bandwidth that is measured between the rounds.
"""

import argparse
import os
import time
from statistics import median

import torch
from transformers import PreTrainedModel

from engine_peers.process import Bandwidth
from random_model import random_model
from shapes import SHAPES
from sizeup_inference.engine.forward import Batch
from sizeup_inference.engine.forwards.attention import ATTENTION_NAME
from sizeup_inference.engine.kv_pool import Span
from sizeup_inference.engine.loading.make_forward import ForwardOptions, LoadedForward, make_forward
from sizeup_inference.engine.loading.memory import PoolOptions

_STEPS = 5
"""Steps of one context before the other's turn."""


def batch_of(streams: int, context: int, pages: int, page_size: int) -> Batch:
    """Return a decode step of streams whose last token is at this context; each has `pages`."""
    used = -(-context // page_size)
    spans = [
        Span(row, 1, context, tuple(range(row * pages, row * pages + used)))
        for row in range(streams)
    ]
    ids = [row % 100 for row in range(streams)]
    return Batch(ids, tuple(spans), range(streams), [False] * streams, wants_hidden=False)


def step_seconds(loaded: LoadedForward, batch: Batch) -> float:
    """Return the median of a few steps."""
    seconds = []
    for _ in range(_STEPS):
        started = time.perf_counter()
        loaded.forward.run(batch)
        seconds.append(time.perf_counter() - started)
    return median(seconds)


@torch.inference_mode()
def measure(loaded: LoadedForward, streams: int, context: int, rounds: int) -> None:
    """Print the figures of every round, and the median ratio."""
    pool = loaded.forward.pool
    size = pool.layout.page_size
    pages = -(-context // size)
    long, short = (batch_of(streams, c, pages, size) for c in (context, size))
    tokens = streams * (context - size)
    per_token = pool.layout.bytes_per_page(len(pool.keys), pool.keys[0].dtype) / size
    for tensor in (*pool.keys, *pool.values):
        tensor.zero_()  # every page in memory of its own: untouched ones share a page of zeros
    bandwidth = Bandwidth("cpu", loaded.threads)
    ratios = []
    print(f"{streams} x {context}, {per_token * tokens / 1e6:.0f} MB; kernels: {loaded.kernels}")
    try:
        for _ in range(rounds):
            seconds = step_seconds(loaded, long) - step_seconds(loaded, short)
            reading = per_token * tokens / bandwidth.measure()
            ratios.append(seconds / reading)
            print(
                f"attention {seconds * 1e3:.1f} ms, reading {reading * 1e3:.1f} ms: "
                f"{ratios[-1]:.2f}"
            )
    finally:
        bandwidth.close()
    print(f"median ratio {median(ratios):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="qwen1.5-0.5b")
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()

    def load() -> PreTrainedModel:
        model = random_model(args.shape, "bfloat16")
        model.set_attn_implementation(ATTENTION_NAME)
        return model

    pool = PoolOptions(args.streams, args.context + 64)
    loaded = make_forward(load, ForwardOptions(pool, args.threads, args.threads))
    measure(loaded, args.streams, args.context, args.rounds)


if __name__ == "__main__":
    main()
