"""What a long prompt costs the others, and what a common prefix saves.

    python benchmarks/scheduling.py [--shape smollm2-135m] [--long 4096] [--threads 2]

In this process, on the engine alone with random weights. First one stream decodes, alone and beside
the prefill of a long prompt: the time between its tokens, and the speed of that prefill alone and
beside the stream. Then 50 requests arrive at once whose prompts share 1,000 tokens, without and
with prefix cache: the prompt tokens computed, and the time until all have their first token. Last,
two turns of one conversation: the prompt tokens computed for the second.
"""

import argparse
import os
import queue
import random
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from statistics import quantiles

import torch
from transformers import PreTrainedModel

from random_model import random_model
from shapes import SHAPES
from sizeup_inference.engine.forwards.attention import ATTENTION_NAME
from sizeup_inference.engine.loading.make_forward import ForwardOptions, LoadedForward, make_forward
from sizeup_inference.engine.loading.memory import PoolOptions
from sizeup_inference.engine.model_runner import ModelRunner
from sizeup_inference.engine.protocol import (
    EngineEvent,
    EngineRequest,
    Failed,
    SamplingParams,
    Token,
)
from sizeup_inference.engine.scheduling.page_allocator import PageAllocator
from sizeup_inference.engine.scheduling.scheduler import Scheduler, SchedulerConfig
from sizeup_inference.engine.thread import EngineThread

_GREEDY = SamplingParams(temperature=0)
_REQUESTS, _SHARED, _OWN = 50, 1000, 8
_WARM_UP_TOKENS, _IDLE_TOKENS = 32, 100
_STREAM_TOKENS = 20_000
"""More than are generated before the stream is cancelled."""
_DEADLINE_SECONDS = 600.0


class Tokens:
    """The tokens of every request, as they arrive."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Token | Failed] = queue.SimpleQueue()
        self.times: dict[str, list[float]] = {}
        self.ids: dict[str, list[int]] = {}

    def __call__(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            if isinstance(event, Token | Failed):
                self._arrived.put(event)

    def wait(self, name: str, count: int) -> None:
        """Wait until a request has this many tokens."""
        while len(self.times.get(name, ())) < count:
            token = self._arrived.get(timeout=_DEADLINE_SECONDS)
            if isinstance(token, Failed):
                raise RuntimeError(token.message)  # noqa: TRY004  # the request is at fault
            self.times.setdefault(token.request_id, []).append(token.at_ns / 1e9)
            self.ids.setdefault(token.request_id, []).append(token.token_id)


class Bench:
    """An engine over a loaded model."""

    def __init__(self, loaded: LoadedForward, prefix_cache: bool) -> None:
        layout = loaded.forward.pool.layout
        config = SchedulerConfig(256, 512, layout.page_size, enable_prefix_caching=prefix_cache)
        self.tokens = Tokens()
        self.engine = EngineThread(
            ModelRunner(loaded.forward),
            Scheduler(config, PageAllocator(layout.pages)),
            self.tokens,
            max_waiting=512,
            threads=loaded.threads,
        )

    def close(self) -> None:
        self.engine.close(60)

    def submit(self, name: str, prompt: Sequence[int], tokens: int) -> None:
        self.engine.submit(EngineRequest(name, tuple(prompt), _GREEDY, tokens))

    def run(self, name: str, prompt: Sequence[int], tokens: int) -> float:
        """Run one request; return its seconds."""
        started = time.perf_counter()
        self.submit(name, prompt, tokens)
        self.tokens.wait(name, tokens)
        return time.perf_counter() - started


def prompt_of(length: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(1, 32_000) for _ in range(length)]


def long_prompt(loaded: LoadedForward, length: int) -> None:
    """Print the time between a stream's tokens, alone and beside a long prompt."""
    with closing(Bench(loaded, prefix_cache=False)) as bench:
        bench.run("warm-up", prompt_of(256, 1), _WARM_UP_TOKENS)
        alone = length / bench.run("alone", prompt_of(length, 2), 1)
        bench.submit("stream", prompt_of(64, 3), _STREAM_TOKENS)
        bench.tokens.wait("stream", _WARM_UP_TOKENS + _IDLE_TOKENS)
        beside = length / bench.run("beside", prompt_of(length, 4), 1)
        finished = bench.tokens.times["beside"][0]
        bench.engine.cancel("stream")
        times = bench.tokens.times["stream"]
    gaps = [(at, (at - before) * 1000) for before, at in pairwise(times) if at <= finished]
    idle = quantiles([gap for _, gap in gaps[_WARM_UP_TOKENS:_IDLE_TOKENS]], n=100)
    started = finished - length / beside
    busy = quantiles([gap for at, gap in gaps if at > started], n=100)
    print(f"one stream, and a prompt of {length} tokens")
    print("                    ITL p50 ms   p99 ms   prefill tokens/s")
    print(f"alone             {idle[49]:12.1f} {idle[98]:8.1f} {alone:18.0f}")
    print(f"side by side      {busy[49]:12.1f} {busy[98]:8.1f} {beside:18.0f}")
    print(f"ratio             {busy[49] / idle[49]:12.2f} {busy[98] / idle[98]:8.2f} ", end="")
    print(f"{beside / alone:18.2f}")


def shared_prefix(loaded: LoadedForward, prefix_cache: bool) -> None:
    """Print what requests with a common prefix cost that arrive at once."""
    shared = prompt_of(_SHARED, 5)
    with closing(Bench(loaded, prefix_cache)) as bench:
        bench.run("warm-up", prompt_of(256, 1), _WARM_UP_TOKENS)
        before = bench.engine.stats().prompt_tokens
        started = time.perf_counter()
        for i in range(_REQUESTS):
            bench.submit(f"{i}", [*shared, *prompt_of(_OWN, 100 + i)], 1)
        for i in range(_REQUESTS):
            bench.tokens.wait(f"{i}", 1)
        seconds = time.perf_counter() - started
        computed = bench.engine.stats().prompt_tokens - before
    state = "on " if prefix_cache else "off"
    print(f"prefix cache {state}: {computed:6d} prompt tokens computed, {seconds:6.2f} s")


def conversation(loaded: LoadedForward) -> None:
    """Print the prompt tokens computed for the second turn of a conversation."""
    with closing(Bench(loaded, prefix_cache=True)) as bench:
        first, new = prompt_of(500, 6), prompt_of(20, 7)
        bench.run("first", first, 200)
        second = [*first, *bench.tokens.ids["first"], *new]
        before = bench.engine.stats().prompt_tokens
        bench.run("second", second, 1)
        computed = bench.engine.stats().prompt_tokens - before
    print(f"second turn of {len(second)} tokens, {len(new)} of them new: {computed} computed")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--long", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    def load() -> PreTrainedModel:
        model = random_model(args.shape, "bfloat16")
        model.set_attn_implementation(ATTENTION_NAME)
        return model

    pool = PoolOptions(1, _REQUESTS * 2048 + _STREAM_TOKENS + args.long)
    loaded = make_forward(load, ForwardOptions(pool, args.threads, args.threads))
    print(f"{args.shape}, bfloat16, {args.threads} threads, kernels: {loaded.kernels}\n")
    long_prompt(loaded, args.long)
    print(f"\n{_REQUESTS} requests at once, {_SHARED} common tokens and {_OWN} of their own each")
    for prefix_cache in (False, True):
        shared_prefix(loaded, prefix_cache)
    print()
    conversation(loaded)


if __name__ == "__main__":
    main()
