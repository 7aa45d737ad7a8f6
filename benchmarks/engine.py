"""Compare the engine with transformers' generate on a real shape with random weights.

    python benchmarks/engine.py [--streams 1 8 16] [--prompt 64] [--tokens 64] [--rounds 3]

Both run in this process, on the same weights, in turn within each round, so that a noisy machine
affects both equally; the relevant figure is the ratio. generate gets one batch of prompts of equal
length, its best case: no padding and no late arrivals.
"""

import argparse
import copy
import os
import queue
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from shapes import SHAPES
from sizeup_inference.engine.attention import ATTENTION_NAME
from sizeup_inference.engine.loader import PoolOptions, make_pool
from sizeup_inference.engine.model_runner import ModelRunner
from sizeup_inference.engine.page_allocator import PageAllocator
from sizeup_inference.engine.protocol import (
    EngineEvent,
    EngineRequest,
    Failed,
    SamplingParams,
    Token,
)
from sizeup_inference.engine.scheduler import Scheduler, SchedulerConfig
from sizeup_inference.engine.thread import EngineThread


@dataclass(frozen=True, slots=True)
class Load:
    """A batch of requests."""

    streams: int
    prompt: int
    tokens: int


class TokenCounter:
    """Counts delivered tokens until every stream has ended."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.tokens = 0

    def __call__(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            if isinstance(event, Failed):
                self._ended.put(event.message)
            elif isinstance(event, Token):
                self.tokens += 1
                if event.finish is not None:
                    self._ended.put("")

    def wait(self, streams: int) -> None:
        for _ in range(streams):
            if failure := self._ended.get(timeout=600):
                raise RuntimeError(failure)


def make_model(shape: str, dtype: torch.dtype) -> PreTrainedModel:
    """Create a model with random weights, equal for equal shapes."""
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        copy.deepcopy(SHAPES[shape]), dtype=dtype, attn_implementation="sdpa"
    )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def make_engine(model: PreTrainedModel, counter: TokenCounter, threads: int) -> EngineThread:
    """Start an engine over a model as an inference process does."""
    model.set_attn_implementation(ATTENTION_NAME)
    pool = make_pool(model, PoolOptions(max_tokens=65536, kv_cache_bytes=None))
    # Every round sends the same prompts.
    config = SchedulerConfig(256, 512, pool.layout.page_size, enable_prefix_caching=False)
    scheduler = Scheduler(config, PageAllocator(pool.layout.pages))
    return EngineThread(
        ModelRunner(model, pool), scheduler, counter, max_waiting=512, threads=threads
    )


def prompts(load: Load) -> list[list[int]]:
    """Return one prompt of random tokens per stream."""
    generator = torch.Generator().manual_seed(load.streams)
    rows: list[list[int]] = torch.randint(
        0, 151643, (load.streams, load.prompt), generator=generator
    ).tolist()
    return rows


def time_generate(model: PreTrainedModel, load: Load) -> float:
    """Return the seconds for one batch of exactly `tokens` greedy tokens each."""
    ids = torch.tensor(prompts(load))
    started = time.perf_counter()
    model.generate(  # type: ignore[operator]
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=load.tokens,
        min_new_tokens=load.tokens,
        do_sample=False,
        pad_token_id=0,
    )
    return time.perf_counter() - started


def time_engine(engine: EngineThread, counter: TokenCounter, load: Load) -> float:
    """Return the seconds for the same as concurrent requests."""
    counter.tokens = 0
    greedy = SamplingParams(temperature=0)
    started = time.perf_counter()
    for index, prompt in enumerate(prompts(load)):
        engine.submit(EngineRequest(f"{index}", tuple(prompt), greedy, load.tokens))
    counter.wait(load.streams)
    seconds = time.perf_counter() - started
    if counter.tokens != load.streams * load.tokens:
        raise RuntimeError(f"{counter.tokens} tokens of {load.streams * load.tokens}")
    return seconds


def compare(loads: Sequence[Load], rounds: int, args: argparse.Namespace) -> None:
    """Print one line per load: tokens/s of both, and the ratio over paired rounds."""
    dtype: torch.dtype = getattr(torch, args.dtype)
    torch.set_num_threads(args.threads)
    reference = make_model(args.shape, dtype)
    counter = TokenCounter()
    engine = make_engine(make_model(args.shape, dtype), counter, args.threads)
    print(f"{args.shape} {args.dtype}, {args.threads} threads, torch {torch.__version__}")
    print("streams  generate tok/s  engine tok/s  ratio (min .. max of rounds)")
    for load in loads:
        time_generate(reference, Load(load.streams, 8, 2))
        time_engine(engine, counter, Load(load.streams, 8, 2))
        pairs = [
            (time_generate(reference, load), time_engine(engine, counter, load))
            for _ in range(rounds)
        ]
        total = load.streams * load.tokens
        plain, ours = (total / statistics.median(side) for side in zip(*pairs, strict=True))
        ratios = sorted(a / b for a, b in pairs)
        middle = statistics.median(ratios)
        print(
            f"{load.streams:7d}  {plain:14.1f}  {ours:12.1f}  "
            f"{middle:.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f})",
            flush=True,
        )
    engine.close(60)


def main() -> None:
    """Parse the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="qwen1.5-0.5b")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    loads = [Load(streams, args.prompt, args.tokens) for streams in args.streams]
    compare(loads, args.rounds, args)


if __name__ == "__main__":
    main()
