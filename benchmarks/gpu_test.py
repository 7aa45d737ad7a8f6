"""Try the engine on this machine's GPU: parity, the fast paths, and speed on four real shapes.

    make gpu-test

Runs tests/gpu and benchmarks/engine.py (with random weights, beside generate and continuous
batching in transformers), prints both, and writes one JSON file: what passed, which fast paths each
shape uses and why not the others, every sample, and each target with the figure that was reached.
Takes up to ten minutes; a shape that does not fit the GPU or the time that is left is left out,
and is in the file with the reason. The exit status is 1 if a test or a shape failed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

import torch

from engine_peers.figures import bandwidth_share, decode_rate, output_rate, ratio
from engine_peers.machine import machine, versions
from engine_peers.results import LoadResult, RunResult, read
from shapes import SHAPES

ROOT = Path(__file__).parents[1]
_SHAPES = ("qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-7b", "qwen2.5-14b")
_STREAMS = (1, 128)
_PEERS = ("sizeup", "generate", "cb")
TOO_LARGE = "does not fit the GPU"
TOO_LATE = "does not fit the time that is left"
_SECONDS = 600.0
"""Of the whole run."""
_PARITY_SECONDS = 180.0
_WEIGHTS_SHARE = 0.7
"""Of the GPU's memory, for the weights of all peers; the rest is for their KV caches."""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach."""

    shape: str
    streams: int
    figure: str
    at_least: float
    reached: float | None
    """None: not measured."""


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run."""

    machine: str
    versions: Mapping[str, str]
    parity: Mapping[str, int]
    """Tests by outcome."""
    left_out: Mapping[str, str]
    """By shape that was not measured, why."""
    settings: Mapping[str, str]
    """By shape, what computes it, and the fast paths that are not used with their reasons."""
    targets: Sequence[Target]
    runs: Sequence[RunResult]


def parity(seconds: float) -> Mapping[str, int]:
    """Run tests/gpu; return the number of tests by outcome."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        argv = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "--junitxml", file.name]
        try:
            subprocess.run([*argv, str(ROOT / "tests" / "gpu")], cwd=ROOT, timeout=seconds)
            suite = ElementTree.parse(file.name).getroot()[0]
        except (subprocess.TimeoutExpired, ElementTree.ParseError) as error:
            print(f"tests/gpu: {error}")
            return {"passed": 0, "failed": 1}
        counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors")}
    failed = counts["failures"] + counts["errors"]
    return {"passed": counts["tests"] - failed, "failed": failed}


def measure(
    shape: str, peers: Sequence[str], results: Path, cache: Path, seconds: float
) -> str | None:
    """Compare the peers on a shape; return why it was not measured."""
    if not peers:
        return TOO_LARGE
    if seconds <= 0:
        return TOO_LATE
    argv = [sys.executable, str(ROOT / "benchmarks" / "engine.py"), "--device", "cuda"]
    argv += ["--shape", shape, "--streams", *map(str, _STREAMS), "--peers", *peers]
    argv += ["--rounds", "2", "--json", str(results), "--cache", str(cache)]
    try:
        status = subprocess.run(argv, cwd=ROOT, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        return TOO_LATE
    return None if status == 0 else f"exit status {status}"


def peers_that_fit(shape: str, memory: int) -> Sequence[str]:
    """Return the peers whose copies of a shape's weights a GPU of so many bytes holds."""
    config = SHAPES[shape]
    heads = config.num_attention_heads
    kv_width = (config.num_key_value_heads or heads) * config.hidden_size // heads
    layer = config.hidden_size * (2 * config.hidden_size + 2 * kv_width)
    layer += 3 * config.hidden_size * config.intermediate_size
    tables = (1 if config.tie_word_embeddings else 2) * config.vocab_size * config.hidden_size
    weights = 2 * (config.num_hidden_layers * layer + tables)
    return _PEERS[: int(_WEIGHTS_SHARE * memory / weights)]


def targets(runs: Sequence[RunResult]) -> Iterator[Target]:
    """Yield what the engine is to reach on a GPU, with what it has reached."""

    def of(
        shape: str, streams: int, figure: str, at_least: float, value: Callable[..., float | None]
    ) -> Target:
        found = [
            value(run, load)
            for run in runs
            if run.shape == shape
            for load in run.loads
            if load.streams == streams
        ]
        return Target(shape, streams, figure, at_least, found[0] if found else None)

    def share(run: RunResult, load: LoadResult) -> float | None:
        return bandwidth_share(load, "sizeup", run.peers["sizeup"].model)

    def beside(peer: str) -> Callable[[RunResult, LoadResult], float | None]:
        def times(_run: RunResult, load: LoadResult) -> float | None:
            rate = decode_rate if load.streams == 1 else output_rate
            found = ratio(load, rate, "sizeup", peer) if peer in load.samples else None
            return found.median if found else None

        return times

    yield of("qwen2.5-7b", 1, "share of the bandwidth bound", 0.85, share)
    yield of("qwen2.5-1.5b", 1, "share of the bandwidth bound", 0.7, share)
    for shape in _SHAPES:
        yield of(shape, 1, "decode tokens/s over generate", 3.0, beside("generate"))
        yield of(shape, 128, "tokens/s over continuous batching", 1.2, beside("cb"))


def main() -> int:
    """Run everything and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/results/gpu.json")
    parser.add_argument("--cache", type=Path, default=ROOT / ".benchmarks", help="of the models")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.stderr.write("no CUDA device: this needs an NVIDIA GPU and a CUDA build of torch\n")
        return 1
    deadline = time.monotonic() + _SECONDS
    counts = parity(_PARITY_SECONDS)
    memory = torch.cuda.get_device_properties(0).total_memory
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "engine.json"
        for shape in _SHAPES:
            left = deadline - time.monotonic()
            peers = peers_that_fit(shape, memory)
            reason = measure(shape, peers, results, args.cache, left)
            if reason is not None:
                left_out[shape] = reason
        runs = read(results).runs if results.exists() else []
    report = Report(
        machine=machine("cuda"),
        versions=versions(),
        parity=counts,
        left_out=left_out,
        settings={run.shape: run.peers["sizeup"].model.settings for run in runs},
        targets=list(targets(runs)),
        runs=runs,
    )
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(asdict(report), indent=1) + "\n")
    summary = asdict(report)
    del summary["runs"]
    print(json.dumps(summary, indent=1))
    print(f"written to {args.json}")
    failed = counts["failed"] or any(
        reason not in (TOO_LARGE, TOO_LATE) for reason in left_out.values()
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
