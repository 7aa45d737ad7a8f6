"""What structured output costs: tokens/s of many streams, with and without a JSON schema.

    python benchmarks/structured_output.py [--shape qwen1.5-0.5b] [--streams 16] [--rounds 5]

In this process, on the engine alone with random weights and Qwen's vocabulary; the constrained
streams write records of people. Each round measures all three in turn: without a schema, with one
for every stream, and with one for every other stream.
"""

import argparse
import json
import os
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing
from statistics import median

import torch
from transformers import PreTrainedModel

from grammars import person
from qwen_tokenizer import qwen_tokenizer
from random_model import random_model
from scheduling import Bench, prompt_of
from shapes import SHAPES
from sizeup_inference.engine.forwards.attention import ATTENTION_NAME
from sizeup_inference.engine.loading.make_forward import ForwardOptions, make_forward
from sizeup_inference.engine.loading.memory import PoolOptions
from sizeup_inference.engine.protocol import (
    Constraint,
    ConstraintError,
    ConstraintState,
    EngineRequest,
    SamplingParams,
)
from sizeup_inference.text.grammar import output_grammar
from sizeup_inference.text.hf_tokenizer import HuggingFaceTokenizer
from sizeup_inference.text.llguidance_compiler import LLGuidanceCompiler
from sizeup_wire.generate import JsonObjectOutput, JsonSchemaOutput

_RECORDS = 20
_PROMPT_TOKENS = 64


class Written:
    """A constraint whose output is a given text, at the cost of the masks of the schema.

    Random weights would write strings that no model writes, and their masks take ten times as long.
    """

    def __init__(self, constraint: Constraint, token_ids: Sequence[int]) -> None:
        self._constraint = constraint
        self._token_ids = token_ids

    def start(self) -> "WrittenState":
        return WrittenState(self._constraint.start(), iter(self._token_ids))


class WrittenState:
    def __init__(self, state: ConstraintState, token_ids: Iterator[int]) -> None:
        self._state = state
        self._token_ids = token_ids

    def mask(self) -> "array[int]":
        mask, token_id = self._state.mask(), next(self._token_ids)
        if not mask[token_id // 32] >> token_id % 32 & 1:
            raise ConstraintError("the schema excludes the text")
        only = array("I", bytes(4 * len(mask)))
        only[token_id // 32] = 1 << token_id % 32
        return only

    def accept(self, token_id: int) -> None:
        self._state.accept(token_id)


def compile_schema(vocab_size: int) -> Written:
    schema, value = person(_RECORDS)
    tokenizer = HuggingFaceTokenizer(qwen_tokenizer(""))
    started = time.perf_counter()
    eos = tokenizer.eos_token_id
    compiler = LLGuidanceCompiler(tokenizer, vocab_size, () if eos is None else (eos,))
    compiler.compile(output_grammar(JsonObjectOutput(), None, "none"))
    indexed = time.perf_counter()
    constraint = compiler.compile(
        output_grammar(JsonSchemaOutput(json_schema=schema), None, "none")
    )
    compiled = time.perf_counter()
    print(f"index of the vocabulary {indexed - started:.2f} s, ", end="")
    print(f"grammar {(compiled - indexed) * 1000:.1f} ms")
    return Written(
        constraint, tokenizer.encode_text(json.dumps(value, ensure_ascii=False)).token_ids
    )


def measure(
    bench: Bench, name: str, constraints: Sequence[Constraint | None], tokens: int, greedy: bool
) -> float:
    """Return tokens/s of one stream for each constraint, from the first token of the last one."""
    sampling = SamplingParams(temperature=0 if greedy else 0.8, top_p=0.9, seed=1)
    names = [f"{name} {i}" for i in range(len(constraints))]
    for i, constraint in enumerate(constraints):
        prompt = tuple(prompt_of(_PROMPT_TOKENS, i))
        bench.engine.submit(
            EngineRequest(names[i], prompt, sampling, tokens, constraint=constraint)
        )
    for each in names:
        bench.tokens.wait(each, tokens)
    times = [bench.tokens.times[each] for each in names]
    begin, end = max(t[0] for t in times), max(t[-1] for t in times)
    return sum(at > begin for t in times for at in t) / (end - begin)


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="qwen1.5-0.5b")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    def load() -> PreTrainedModel:
        model = random_model(args.shape, "bfloat16")
        model.set_attn_implementation(ATTENTION_NAME)
        return model

    pool = PoolOptions(args.streams, 512)
    loaded = make_forward(load, ForwardOptions(pool, args.threads, args.threads))
    print(f"{args.shape}, bfloat16, {args.threads} threads, kernels: {loaded.kernels}")
    constraint = compile_schema(loaded.config.vocab_size)
    kinds: dict[str, list[Constraint | None]] = {
        "free": [None] * args.streams,
        "schema": [constraint] * args.streams,
        "half": [None, constraint] * (args.streams // 2),
    }
    with closing(Bench(loaded, prefix_cache=True)) as bench:
        bench.run("warm-up", prompt_of(256, 1), 32)
        for greedy in (True, False):
            speeds: dict[str, list[float]] = {kind: [] for kind in kinds}
            for i in range(args.rounds):
                for kind, constraints in kinds.items():
                    name = f"{greedy} {i} {kind}"
                    speeds[kind].append(measure(bench, name, constraints, args.tokens, greedy))
            report("greedy" if greedy else "sampled", args.streams, speeds)


def report(title: str, streams: int, speeds: dict[str, list[float]]) -> None:
    free = speeds["free"]
    for kind, label in (("schema", "every stream"), ("half", "every other stream")):
        ratios = [one / other for one, other in zip(speeds[kind], free, strict=True)]
        print(
            f"{title}, {streams} streams: {median(free):.0f} tokens/s without a schema, "
            f"{median(speeds[kind]):.0f} with one for {label}: ratio {median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
