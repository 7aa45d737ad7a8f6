"""The memory bandwidth that all threads together reach when they read. Needs torch only.

Writes bytes per second for every line that it reads.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import torch

_BYTES = 1 << 30
"""Several times a last-level cache, which would answer otherwise."""
_REPEATS = 3


def measure(parts: list[torch.Tensor], pool: ThreadPoolExecutor) -> float:
    """Return bytes per second: the best of several passes over all parts."""
    best = 0.0
    for _ in range(_REPEATS):
        started = time.perf_counter()
        list(pool.map(_read, parts))
        best = max(best, _BYTES / (time.perf_counter() - started))
    return best


def _read(part: torch.Tensor) -> float:
    return part.sum().item()


def main() -> None:
    """Serve standard input. Arguments: device, threads."""
    device, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    data = torch.ones(_BYTES // 4, device=device)
    parts = list(data.chunk(threads if device == "cpu" else 1))
    with ThreadPoolExecutor(len(parts), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in sys.stdin:
            print(measure(parts, pool), flush=True)


if __name__ == "__main__":
    main()
