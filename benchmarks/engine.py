"""Compare the engine with other programs that generate, on one shape with random weights.

    python benchmarks/engine.py
    python benchmarks/engine.py --shape qwen2.5-1.5b --prompt 64 512 --peers sizeup cb

Peers: this repository's engine (sizeup), transformers' generate and ContinuousBatchingManager (cb),
and on CPUs llama.cpp (`make llama-venv`) with the same weights, and with q8_0 and q4_0. Each is a
separate process. One computes at a time, and rounds alternate between all, so that other load on
the machine affects all alike: the relevant figures are the ratios, of the first peer to another.

Requires torch, transformers and accelerate; the engine is the one of this checkout, with compiled
kernels where they are built. Shared cores slow down the threads of generate, cb and llama.cpp most,
which spin while they wait: --wait-policy passive makes them sleep.
"""

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine_peers.catalog import PEERS, available
from engine_peers.machine import machine, versions
from engine_peers.messages import Load, PeerOptions
from engine_peers.process import Bandwidth, PeerError, PeerProcess
from engine_peers.results import LoadResult, RunResult, Sample, add_run, sample
from engine_peers.tables import HEAD, describe, load_rows, loading_table, text_table
from engine_peers.weights import weights
from shapes import SHAPES

_CACHE = Path(__file__).parents[1] / ".benchmarks"
_ENGINE_WAIT_POLICY = "passive"
"""That of an inference process."""
_WARM_UP_TOKENS = 4

Peers = Mapping[str, PeerProcess]


@contextlib.contextmanager
def started(names: Sequence[str], args: argparse.Namespace) -> Iterator[Peers]:
    """Run the peers for the duration of the block."""
    with contextlib.ExitStack() as stack:
        peers = {}
        for name in names:
            peers[name] = _start(name, args)
            stack.callback(peers[name].close)
        yield peers


def _start(name: str, args: argparse.Namespace) -> PeerProcess:
    kind = PEERS[name]
    options = PeerOptions(
        str(weights(kind, args.cache, args.shape, args.dtype, args.device)),
        args.device,
        args.threads,
        max(args.streams),
        max(args.prompt) + args.tokens,
    )
    policy = _ENGINE_WAIT_POLICY if kind.module == "sizeup" else args.wait_policy
    return PeerProcess(kind.module, kind.python, options, policy)


def measure(peers: Peers, bandwidth: Bandwidth, load: Load, rounds: int) -> LoadResult:
    """Measure a load in every peer and round; each round starts with another peer.

    Prompts differ between rounds: an engine may keep the keys and values of earlier ones.
    """
    for peer in peers.values():
        peer.run(Load(load.streams, load.prompt, _WARM_UP_TOKENS, seed=-1))
    samples: dict[str, list[Sample]] = {name: [] for name in peers}
    speeds = []
    names = list(peers)
    for i in range(rounds):
        speeds.append(bandwidth.measure())
        shift = i % len(names)
        for name in (*names[shift:], *names[:shift]):
            samples[name].append(_sample(peers[name], load, 2 * i))
    return LoadResult(load.streams, load.prompt, load.tokens, speeds, samples)


def _sample(peer: PeerProcess, load: Load, seed: int) -> Sample:
    prefill = peer.run(Load(load.streams, load.prompt, 1, seed))
    return sample(prefill, peer.run(Load(load.streams, load.prompt, load.tokens, seed + 1)))


def compare(names: Sequence[str], args: argparse.Namespace) -> None:
    """Measure every load; print it and add it to the results file at once."""
    bandwidth = Bandwidth(args.device, args.threads)
    with contextlib.closing(bandwidth), started(names, args) as peers:
        ready = {name: peer.ready for name, peer in peers.items()}
        loads: list[LoadResult] = []
        run = RunResult(_command(), args.shape, args.dtype, args.device, args.threads, ready, loads)
        print(loading_table(run), flush=True)
        for prompt in args.prompt:
            for streams in args.streams:
                load = Load(streams, prompt, args.tokens, seed=0)
                loads.append(measure(peers, bandwidth, load, args.rounds))
                _print(run, loads[-1])
                if args.json:
                    add_run(args.json, machine(args.device), versions(), run)


def _command() -> str:
    """Return the command line, without the options that name files."""
    arguments = list(sys.argv[1:])
    for option in ("--json", "--cache"):
        if option in arguments:
            at = arguments.index(option)
            del arguments[at : at + 2]
    return shlex.join(["python", "benchmarks/engine.py", *arguments])


def _print(run: RunResult, load: LoadResult) -> None:
    lowest, highest = min(load.bandwidth) / 1e9, max(load.bandwidth) / 1e9
    print(
        f"\n{describe(load)}; memory bandwidth {lowest:.1f} to {highest:.1f} GB/s",
        text_table(HEAD, load_rows(run, load)),
        sep="\n",
        flush=True,
    )


def runnable(names: Sequence[str], device: str) -> list[str]:
    """Return the peers that can run here, and print why the others cannot."""
    reasons = {name: available(PEERS[name], device) for name in names}
    for name, reason in reasons.items():
        if reason is not None:
            print(f"{name} is skipped: {reason}")
    return [name for name in names if reasons[name] is None]


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="qwen1.5-0.5b")
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 32])
    parser.add_argument("--prompt", type=int, nargs="+", default=[64], help="tokens")
    parser.add_argument("--tokens", type=int, default=128, help="of completion, at least 2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--peers", choices=PEERS, nargs="+", default=list(PEERS))
    parser.add_argument(
        "--wait-policy",
        choices=["active", "passive"],
        help="OMP_WAIT_POLICY of all peers but sizeup; default: OpenMP's",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the results to this file")
    parser.add_argument("--cache", type=Path, default=_CACHE, help="folder of the models")
    return parser.parse_args()


def main() -> int:
    """Compare, print and keep the results."""
    args = parse()
    names = runnable(args.peers, args.device)
    print(f"{args.shape} {args.dtype}, --threads {args.threads}: {machine(args.device)}")
    try:
        compare(names, args)
    except PeerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
