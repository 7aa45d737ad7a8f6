"""What a draft model gains, and what it costs where it does not pay.

    python benchmarks/drafting.py                                     # the toy ladder's own tasks
    python benchmarks/drafting.py --shapes qwen2.5-3b qwen2.5-0.5b    # real shapes

One model without a draft model, with one by the policy of an inference process, and with 4 draft
tokens in every step, in rounds that alternate between the three. Real shapes have weights with
which both models continue a token by the next one, at full cost, except that the draft model errs
at a share of the tokens: `--acceptance` is artificial there, while that of the toys is their own.
"""

import argparse
import os
import queue
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from shapes import SHAPES
from sizeup_inference.engine.drafting.drafter import Drafter
from sizeup_inference.engine.drafting.load_draft import load_draft
from sizeup_inference.engine.drafting.policy import DraftPolicy, Load
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

TOYS = Path(__file__).parents[1] / "models" / "toy"
_DEADLINE_SECONDS = 600.0
_CONTEXT = 512
_KINDS = ("add-4", "copy", "reverse", "fact", "recall", "sequence", "tool-two", "tool-result")
"""Of the toy tasks, in equal shares."""
_SAMPLED = SamplingParams(temperature=0.7, top_p=0.8, top_k=20)
"""The defaults of Qwen2.5 and of the toys."""


@dataclass(frozen=True)
class Work:
    """Prompts, and what is generated after each."""

    name: str
    prompts: Sequence[Sequence[int]]
    sampling: SamplingParams
    tokens: int
    stop: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Speed:
    """Tokens a second, and a second of processor time, which other load disturbs less."""

    wall: float
    cpu: float


class AlwaysDraft(DraftPolicy):
    """Drafts in every step."""

    def tokens(self, load: Load) -> int:
        return self.maximum


class Ends:
    """Counts tokens and waits for the ends of requests."""

    def __init__(self) -> None:
        self.tokens = 0
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __call__(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            if isinstance(event, Token):
                self.tokens += 1
                if event.finish is not None:
                    self._ended.put("")
            elif isinstance(event, Failed):
                self._ended.put(event.message)

    def wait(self) -> None:
        if failure := self._ended.get(timeout=_DEADLINE_SECONDS):
            raise RuntimeError(failure)


class Bench:
    """An engine over a loaded model, of which several share the memory: one runs at a time."""

    def __init__(self, loaded: LoadedForward, drafter: Drafter | None) -> None:
        layout = loaded.forward.pool.layout
        config = SchedulerConfig(256, 512, layout.page_size, enable_prefix_caching=False)
        self._ends = Ends()
        self._requests = 0
        self.engine = EngineThread(
            ModelRunner(loaded.forward),
            Scheduler(config, PageAllocator(layout.pages)),
            self._ends,
            max_waiting=512,
            threads=loaded.threads,
            drafter=drafter,
        )

    def run(self, work: Work, streams: int) -> Speed:
        """Keep this many requests running until all prompts are done."""
        self._ends.tokens = 0
        started, cpu_started = time.perf_counter(), time.process_time()
        for i, prompt in enumerate(work.prompts):
            if i >= streams:
                self._ends.wait()
            self._requests += 1
            sampling = replace(work.sampling, seed=i)
            self.engine.submit(
                EngineRequest(
                    f"{self._requests}",
                    tuple(prompt),
                    sampling,
                    work.tokens,
                    stop_token_ids=work.stop,
                )
            )
        for _ in range(min(streams, len(work.prompts))):
            self._ends.wait()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        return Speed(self._ends.tokens / seconds, self._ends.tokens / cpu_seconds)


def toy_work(count: int) -> Iterator[Work]:
    """Yield the toy tasks, greedy and sampled."""
    sys.path.append(str(TOYS))
    from mixture import item
    from tokenizer import load_tokenizer, render

    tokenizer = load_tokenizer(TOYS / "toy-5m")
    rng = random.Random(1)
    texts = [
        render(tokenizer, item(_KINDS[i % len(_KINDS)], rng, "grade"), with_answer=False)
        for i in range(count)
    ]
    prompts = [tokenizer(text)["input_ids"] for text in texts]
    stop = frozenset({tokenizer.eos_token_id})
    yield Work("greedy", prompts, SamplingParams(temperature=0), 64, stop)
    yield Work("sampled", prompts, _SAMPLED, 64, stop)


def shape_work(vocabulary: int, count: int, tokens: int) -> Iterator[Work]:
    rng = random.Random(1)
    prompts = [[rng.randrange(vocabulary - 2 * tokens) for _ in range(64)] for _ in range(count)]
    yield Work("greedy", prompts, SamplingParams(temperature=0), tokens)


def toy(name: str) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        TOYS / name, dtype=torch.float32, attn_implementation=ATTENTION_NAME
    )
    model.eval()  # type: ignore[no-untyped-call]
    return model


def counting_model(shape: str, acceptance: float) -> PreTrainedModel:
    """Return a model that continues token t by t + 1, or t + 2 for all but a share of the tokens.

    Its layers add nothing to the embedding, and the rows of the head are those of the embedding,
    shifted by one.
    """
    torch.manual_seed(0)
    config = type(SHAPES[shape])(**SHAPES[shape].to_dict() | {"tie_word_embeddings": False})
    model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.bfloat16, attn_implementation=ATTENTION_NAME
    )
    with torch.no_grad():
        for layer in model.get_decoder().layers:  # type: ignore[no-untyped-call]
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embedding: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
        head = model.get_output_embeddings().weight  # type: ignore[no-untyped-call]
        head.copy_(embedding.roll(1, dims=0))
        errs = torch.rand(len(embedding)) >= acceptance
        embedding.copy_(torch.where(errs[:, None], embedding.roll(-1, dims=0), embedding))
    model.eval()  # type: ignore[no-untyped-call]
    return model


@contextmanager
def benches(
    load: Callable[[], PreTrainedModel],
    load_small: Callable[[], PreTrainedModel],
    streams: int,
    threads: int,
) -> Iterator[tuple[LoadedForward, dict[str, Bench]]]:
    """Make an engine for each way to draft."""
    options = ForwardOptions(PoolOptions(streams, _CONTEXT), None, threads)
    target = make_forward(load, options)
    loaded = load_draft(load_small, target, options)
    if loaded.drafter is None or loaded.forward is None:
        raise SystemExit(f"no drafting: {loaded.path.reason}")
    own, of_target = loaded.forward.config.vocab_size, target.config.vocab_size
    always = Drafter(loaded.forward.forward, AlwaysDraft(), vocabulary=own, target=of_target)
    made = {
        "plain": Bench(target, None),
        "policy": Bench(target, loaded.drafter),
        "always": Bench(target, always),
    }
    with ExitStack() as stack:
        for bench in made.values():
            stack.callback(bench.engine.close, 60)
        yield target, made


def measure(made: dict[str, Bench], work: Work, streams: int, rounds: int) -> None:
    """Print the tokens a second of each engine, and the medians of the ratios of rounds."""
    for bench in made.values():
        bench.run(replace(work, prompts=work.prompts[:streams]), streams)
    before = {name: bench.engine.stats() for name, bench in made.items()}
    speeds: dict[str, list[Speed]] = {name: [] for name in made}
    for _ in range(rounds):
        for name, bench in made.items():
            speeds[name].append(bench.run(work, streams))
    line = f"{work.name:8s} {streams:3d}   {median(s.wall for s in speeds['plain']):8.1f}"
    for name in ("policy", "always"):
        stats, first = made[name].engine.stats(), before[name]
        drafted = stats.draft_tokens - first.draft_tokens
        accepted = stats.draft_accepted_tokens - first.draft_accepted_tokens
        generated = stats.completion_tokens - first.completion_tokens
        pairs = list(zip(speeds[name], speeds["plain"], strict=True))
        ratios = [a.wall / b.wall for a, b in pairs]
        line += f"   {median(s.wall for s in speeds[name]):8.1f} {median(ratios):5.2f} "
        line += f"({min(ratios):.2f} to {max(ratios):.2f})"
        line += f" {median(a.cpu / b.cpu for a, b in pairs):5.2f}"
        line += f" {accepted / drafted if drafted else 0:5.0%} {drafted / generated:5.2f}"
    print(line, flush=True)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", nargs=2, choices=SHAPES, metavar=("MODEL", "DRAFT"))
    parser.add_argument("--acceptance", type=float, nargs="+", default=[0.3, 0.6, 0.8, 1.0])
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--prompts", type=int, default=None, help="for each stream")
    parser.add_argument("--tokens", type=int, default=128, help="of each stream, for real shapes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    head = "tokens/s, ratio (of rounds), by CPU time, accepted, drafts/token"
    shares = args.acceptance if args.shapes else [None]
    for share in shares:
        if share is None:
            load, load_small = partial(toy, "toy-5m"), partial(toy, "toy-0.5m")
        else:
            load = partial(counting_model, args.shapes[0], 1.0)
            load_small = partial(counting_model, args.shapes[1], share)
        with benches(load, load_small, max(args.streams), args.threads) as (target, made):
            names = args.shapes or ["toy-5m", "toy-0.5m"]
            print(f"\n{names[0]} with {names[1]}, kernels: {target.kernels}", end="")
            print("" if share is None else f", acceptance {share}")
            print(f"        streams  plain tok/s   policy: {head}   always 4: the same")
            for streams in args.streams:
                count = streams * (args.prompts or (32 if share is None else 1))
                works = (
                    toy_work(count)
                    if share is None
                    else shape_work(target.config.vocab_size, count, args.tokens)
                )
                for work in works:
                    measure(made, work, streams, args.rounds)


if __name__ == "__main__":
    main()
