"""Compare the client with an independent one, guidellm, against the same mock server.

    python benchmarks/loadtest_crosscheck.py [--environment .crosscheck] [--requests 24]

guidellm needs other packages, so it gets its own environment, which reuses the packages of this
interpreter (mainly torch) instead of downloading them again.

Compared is what both define alike. Its "ITL" is our TPOT where a chunk has one token: (last token -
first token) / (tokens - 1); its "TPOT" includes the first token, and is our norm_latency. Tokens/s
are computed alike from the requests of both, streams * tokens / latency, because guidellm's own
figure includes the time in which a run begins and ends.
"""

import argparse
import asyncio
import json
import site
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from time import perf_counter_ns
from typing import Any

from loadtest_streams import MODEL, NullObserver
from mock_process import mock_process
from sizeup_loadtest.analysis.stages import latency
from sizeup_loadtest.client.http import Client
from sizeup_loadtest.config.models import ModelConfig
from sizeup_loadtest.config.schema import Config, Sampling
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.execution.sending import load_generator
from sizeup_loadtest.execution.sending.load_generator import SendContext, Share
from sizeup_loadtest.workload import schedule
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.schedule import Stage

GUIDELLM = "guidellm==0.8.1"
GOAL = 0.03
"""Maximum relative difference."""
_RUN_SECONDS = 600
TOKENS = 64
STREAMS = 4


def environment(folder: Path) -> Path:
    """Create guidellm's environment unless it exists; return its command."""
    command = folder / "bin" / "guidellm"
    if not command.exists():
        venv.create(folder, with_pip=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        borrowed = folder / "lib" / version / "site-packages" / "borrowed.pth"
        borrowed.write_text("\n".join(site.getsitepackages()) + "\n")
        subprocess.run([folder / "bin" / "pip", "install", "-q", GUIDELLM], check=True)
    return command


def theirs(command: Path, url: str, requests: int) -> list[dict[str, Any]]:
    """Run guidellm; return its successful requests."""
    with tempfile.TemporaryDirectory() as folder:
        data, report = Path(folder) / "d.jsonl", Path(folder) / "g.json"
        line = {"prompt": "What is this about?", "output_tokens_count": TOKENS}
        data.write_text((json.dumps(line) + "\n") * requests)
        arguments = [
            f"--backend=kind=openai_http,target={url},model={MODEL}",
            f"--profile=kind=concurrent,streams={STREAMS}",
            f"--constraint=kind=max_requests,count={requests}",
            f"--data=kind=json_file,path={data}",
            f"--output=kind=json,path={report}",
            "--disable-console-interactive",
        ]
        done = subprocess.run(
            [command, "run", *arguments], capture_output=True, text=True, timeout=_RUN_SECONDS
        )
        if done.returncode or not report.exists():
            raise RuntimeError(f"guidellm failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        found: list[dict[str, Any]] = json.loads(report.read_text())["benchmarks"][0]["requests"][
            "successful"
        ]
        return found


async def ours(url: str, requests: int) -> Sequence[Record]:
    """Send the same load with our client."""
    config = Config(models=(ModelConfig(name=MODEL),), max_tokens=TOKENS, length="fixed")
    prompts = [
        Prompt(f"p{i}", (ChatMessage("user", "What is this about?"),)) for i in range(requests)
    ]
    stage = Stage("closed", "closed", STREAMS, "fixed")
    segment = schedule.build_segment(config, stage, MODEL, prompts)
    async with Client({MODEL: Server(url, MODEL)}, Sampling(), perf_counter_ns) as client:
        by_key = {p.key: p for p in prompts}
        share = Share(segment, by_key, perf_counter_ns(), 2**62, lambda planned: False)
        context = SendContext(client.send, NullObserver(), perf_counter_ns)
        return await load_generator.run_segment(share, context)


SERVERS: Mapping[str, Sequence[str]] = {
    "plain": (),
    "jitter": ("--jitter=0.5",),
    "thinking": ("--thinking=16",),
    "queue": ("--parallel=2",),
}
"""Shapes of the mock server, by its options."""

Figures = Mapping[str, float]
"""Milliseconds, but for tok_s."""


def middle(values: Sequence[float | None]) -> float:
    """Return the median of the known values, in milliseconds."""
    return median(value for value in values if value is not None) * 1000


def our_figures(records: Sequence[Record]) -> Figures:
    return {
        "ttft": middle([latency.ttft(r) for r in records]),
        "answer_ttft": middle([latency.answer_ttft(r) for r in records]),
        "tpot": middle([latency.tpot(r) for r in records]),
        "norm_latency": middle([latency.norm_latency(r) for r in records]),
        "e2e": middle([latency.e2e(r) for r in records]),
        "tok_s": STREAMS
        * fmean(r.completion_tokens or 0 for r in records)
        / fmean(latency.e2e(r) or 0 for r in records),
    }


def their_figures(requests: Sequence[Mapping[str, Any]]) -> Figures:
    answer = "time_to_first_output_token_ms"
    return {
        "ttft": median(r["time_to_first_token_ms"] for r in requests),
        "answer_ttft": median(r[answer] or r["time_to_first_token_ms"] for r in requests),
        "tpot": median(r["inter_token_latency_ms"] for r in requests),
        "norm_latency": median(r["time_per_output_token_ms"] for r in requests),
        "e2e": median(r["request_latency"] for r in requests) * 1000,
        "tok_s": STREAMS
        * fmean(r["output_tokens"] for r in requests)
        / fmean(r["request_latency"] for r in requests),
    }


def compared(server: str, command: Path, requests: int) -> bool:
    """Send the same load with both clients, and print their figures; False beyond the goal."""
    options = [f"--parallel={STREAMS}", f"--tokens={TOKENS}", *SERVERS[server]]
    with mock_process(options) as url:
        mine = our_figures(asyncio.run(ours(url, requests)))
        other = their_figures(theirs(command, url, requests))
    for name, value in mine.items():
        off = value / other[name] - 1
        print(f"{server:10}{name:14}{value:10.2f}{other[name]:10.2f}{off:+9.2%}", flush=True)
    return all(abs(value / other[name] - 1) <= GOAL for name, value in mine.items())


def main() -> int:
    """Compare both clients with every server; return 1 when one differs by more than the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--environment", type=Path, default=Path(".crosscheck"))
    parser.add_argument("--requests", type=int, default=24)
    args = parser.parse_args()
    command = environment(args.environment).resolve()
    print(f"{args.requests} requests, medians in ms      ours  guidellm")
    within = [compared(server, command, args.requests) for server in SERVERS]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
