"""Time to ready of an inference process by phase, beside the time to read the weights. Linux.

    python benchmarks/loading.py --shape qwen2.5-0.5b

Each row is a new process that loads a model with random weights from the page cache: the dtype of
the file, the dtype asked for, seconds of each phase, seconds to read the file's bytes into a buffer
(measured next to it), the ratio of the phases after the imports to that, and the most private
memory (RssAnon) over the bytes of the weights in the dtype asked for. Mapped weights are not
private: the kernel drops and rereads them as needed. The last line is the rate of sha256, which
applies to a model of the Hugging Face cache that `sizeup pull` has not marked as complete.
"""

import argparse
import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_DTYPES = ("bfloat16", "float32")
_ROW = "{:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>9} {:>9}"
_HEAD = ("file", "asked", "read", "import", "verify", "load", "KV pool", "warm up", "ratio",
         "private", "peak RSS")  # fmt: skip
_SAMPLE_SECONDS = 0.005
_BUFFER = bytearray(1 << 20)


def measure(folder: Path, dtype: str) -> dict[str, float]:
    """Load the model in this process; return seconds by phase, and memory in bytes."""
    started = time.perf_counter()
    # Imported here because the import is the first phase.
    from sizeup_inference.settings import Settings
    from sizeup_inference.startup.load_model import start_engine

    imported = time.perf_counter()
    stages = []
    settings = Settings(model=str(folder), dtype=dtype, device="cpu", max_model_len=1024)
    with PeakPrivate() as peak:
        running = start_engine(
            settings, lambda _: None, lambda name, _: stages.append((name, time.perf_counter()))
        )
        ready = time.perf_counter()
    ends = [*(moment for _, moment in stages[1:]), ready]
    phases = {name: end - start for (name, start), end in zip(stages, ends, strict=True)}
    running.engine.close(5.0)
    return {
        **phases,
        "import": imported - started,
        "ratio": (ready - imported) / read_seconds(folder),
        "read": read_seconds(folder),
        "private": peak.bytes / weight_bytes(running.info.parameters, dtype),
        "peak RSS": peak.hwm / weight_bytes(running.info.parameters, dtype),
    }


def weight_bytes(parameters: int, dtype: str) -> int:
    """Return the bytes of the weights in a dtype."""
    return parameters * {"bfloat16": 2, "float32": 4}[dtype]


class PeakPrivate:
    """The growth of private memory, and of RSS, within the block at its highest."""

    def __enter__(self) -> "PeakPrivate":
        """Start to sample."""
        self._first, self._first_rss = memory_bytes("RssAnon"), memory_bytes("VmRSS")
        self._highest = self._first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self._ended.set()
        self._thread.join()
        self.bytes = self._highest - self._first
        self.hwm = memory_bytes("VmHWM") - self._first_rss

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            self._highest = max(self._highest, memory_bytes("RssAnon"))


def memory_bytes(field: str) -> int:
    """Return a memory field of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def read_seconds(folder: Path) -> float:
    """Return the seconds to read the weights into a buffer; the fastest of three times."""
    return min(_read_once(folder) for _ in range(3))


def _read_once(folder: Path) -> float:
    started = time.perf_counter()
    for path in folder.glob("*.safetensors"):
        with path.open("rb", buffering=0) as file:
            while file.readinto(_BUFFER):
                pass
    return time.perf_counter() - started


def sha256_rate(folder: Path) -> float:
    """Return the bytes per second of sha256 on one core."""
    started, size = time.perf_counter(), 0
    digest = hashlib.sha256()
    for path in folder.glob("*.safetensors"):
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(_BUFFER):
                digest.update(memoryview(_BUFFER)[:count])
                size += count
    return size / (time.perf_counter() - started)


def in_process(arguments: Sequence[str]) -> Any:
    """Run this program in a new process and return the JSON that it prints."""
    command = [sys.executable, __file__, *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(output)


def compare(shape: str) -> None:
    """Measure every pair of dtypes and print the table."""
    from make_model import make

    print(_ROW.format(*_HEAD), flush=True)
    with tempfile.TemporaryDirectory() as name:
        for written, asked in itertools.product(_DTYPES, _DTYPES):
            folder = Path(name) / written
            if not folder.exists():
                make(folder, shape, written)
            row = in_process(["--measure", str(folder), asked])
            figures = [f"{row[key]:.2f}" for key in ("read", "import", "verify", "load")]
            figures += [f"{row[key]:.2f}" for key in ("allocate KV cache", "warm up", "ratio")]
            figures += [f"{row['private']:.2f}", f"{row['peak RSS']:.2f}"]
            print(_ROW.format(written, asked, *figures), flush=True)
        print(f"sha256: {sha256_rate(folder) / 1e9:.2f} GB/s on one core")


def main() -> None:
    """Parse the command line, and measure one process or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="qwen2.5-0.5b", help="a name of shapes.py")
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "DTYPE"), help="one row, as JSON")
    args = parser.parse_args()
    if args.measure:
        folder, dtype = args.measure
        print(json.dumps(measure(Path(folder), dtype)))
    else:
        compare(args.shape)


if __name__ == "__main__":
    main()
