"""Results with round numbers."""

from engine_peers.messages import Model, Ready
from engine_peers.results import LoadResult, RunResult, Sample

MODEL = Model("settings", vocab_size=10, step_weight_bytes=1000, kv_bytes_per_token=10)
READY = Ready(MODEL, load_seconds=3.0, read_seconds=2.0, weight_bytes=1000, peak_rss_bytes=10**9)


def sample(seconds: float, decode_tokens: int = 6) -> Sample:
    """Return a sample of two streams whose decode takes 3 seconds."""
    return Sample(seconds, 2.0, decode_tokens, 3.0, 0.5, 1.0, 10**9, 0)


def load(ours: list[Sample], theirs: list[Sample]) -> LoadResult:
    """Return two streams of 8 tokens of prompt and 4 of completion."""
    bandwidth = [1000.0] * len(ours)
    return LoadResult(2, 8, 4, bandwidth, {"sizeup": ours, "llama": theirs})


def run(*loads: LoadResult) -> RunResult:
    """Return a run of both peers."""
    peers = {"sizeup": READY, "llama": READY}
    return RunResult("python benchmarks/engine.py", "shape", "bfloat16", "cpu", 2, peers, loads)
