"""Memory of the processes of `sizeup up`, and of what an inference process imports. Linux.

    python benchmarks/process_memory.py
    python benchmarks/process_memory.py --requests 32
    python benchmarks/process_memory.py toy-5m

The first table has a row per process, in MiB: RSS, all resident pages; PSS, pages that processes
share divided among them, so that the sum is the memory in use; USS, the pages of this process
alone, which its exit frees. `--requests` sends as many at once to every model before. One model
is executed, several are forked from one process that has done the imports. The second table shows
a new interpreter after each import.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp

_PORT = 18434
_START_SECONDS = 300.0
_READY = "Ctrl-C to stop"
_ROW = "{:28} {:>8} {:>8} {:>8}"
_IMPORTS = (
    ("Python", "pass"),
    ("HTTP server", "import sizeup_inference.app"),
    ("torch", "import torch"),
    ("torch, transformers' models", "import torch; from transformers import PreTrainedModel"),
    ("all of an inference process", "import sizeup_inference.shared_imports"),
)
_PRINT_SELF = "; print(open('/proc/self/smaps_rollup').read())"


def memory_mib(rollup: str) -> tuple[float, float, float]:
    """Return RSS, PSS and USS from the text of a smaps_rollup file."""
    fields = [line.split() for line in rollup.strip().splitlines()[1:]]
    kib = {name.rstrip(":"): int(value) for name, value, _ in fields}
    uss = kib["Private_Clean"] + kib["Private_Dirty"]
    return kib["Rss"] / 1024, kib["Pss"] / 1024, uss / 1024


def print_row(name: str, figures: Sequence[float]) -> None:
    """Print a name and figures in MiB."""
    print(_ROW.format(name, *(f"{figure:.0f}" for figure in figures)), flush=True)


def descendants(pid: int) -> list[int]:
    """Return a process and all processes below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in descendants(int(child)))]


def print_processes(pid: int) -> None:
    """Print a row per process and the sum of PSS and USS; RSS counts shared pages repeatedly."""
    print(_ROW.format("process", "RSS", "PSS", "USS"))
    rows = []
    for process in descendants(pid):
        folder = Path(f"/proc/{process}")
        rows.append(memory_mib((folder / "smaps_rollup").read_text()))
        print_row((folder / "comm").read_text().strip(), rows[-1])
    _, pss, uss = zip(*rows, strict=True)
    print(_ROW.format("sum", "", f"{sum(pss):.0f}", f"{sum(uss):.0f}"))


def print_imports() -> None:
    """Print the memory of a new interpreter after each import."""
    print(_ROW.format("imported", "RSS", "PSS", "USS"))
    for name, statement in _IMPORTS:
        command = [sys.executable, "-c", statement + _PRINT_SELF]
        print_row(name, memory_mib(subprocess.check_output(command, text=True)))


@contextlib.contextmanager
def serving(models: Sequence[str], state: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `sizeup up`; the block starts when every model is ready."""
    command = [sys.executable, "-m", "sizeup", "up", "--port", str(_PORT), *models]
    environment = os.environ | {"XDG_STATE_HOME": str(state)}  # noqa: TID251  # for the child
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None  # a pipe
        for line in process.stdout:
            if _READY in line:
                break
        else:
            raise SystemExit("sizeup up ended")
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


async def send(requests: int) -> None:
    """Send chat requests to every model at once, and wait for the responses."""
    url = f"http://127.0.0.1:{_PORT}"
    timeout = aiohttp.ClientTimeout(total=_START_SECONDS)
    async with aiohttp.ClientSession(url, timeout=timeout, raise_for_status=True) as http:
        async with http.get("/api/tags") as response:
            names = [model["name"] for model in (await response.json())["models"]]
        await asyncio.gather(*(_chat(http, name) for name in names for _ in range(requests)))


async def _chat(http: aiohttp.ClientSession, model: str) -> None:
    messages = [{"role": "user", "content": "What is 12 + 30?"}]
    body = {"model": model, "messages": messages, "stream": False}
    async with http.post("/api/chat", json=body) as response:
        await response.read()


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="as for `sizeup up`; default: the toy models")
    parser.add_argument("--requests", type=int, default=0, help="to each model before measuring")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as state, serving(args.models, Path(state)) as process:
        asyncio.run(send(args.requests))
        print_processes(process.pid)
    print_imports()


if __name__ == "__main__":
    main()
