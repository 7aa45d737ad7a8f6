"""The engine of this repository, built of the parts of an inference process.

Needs torch, transformers and accelerate, and `sizeup_inference` on the path.
"""

import queue
import time
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedModel

from engine_peers.messages import Load, Model, PeerOptions, Timing, timing
from engine_peers.serve import serve
from engine_peers.torch_model import peak_device_bytes, step_weight_bytes
from sizeup_inference.engine.loading.make_forward import ForwardOptions, make_forward
from sizeup_inference.engine.loading.memory import PoolOptions
from sizeup_inference.engine.loading.weights import LoadOptions, load_model
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

_MAX_NUM_SEQS, _MAX_NUM_BATCHED_TOKENS = 256, 512
"""Defaults of the inference process."""
_GREEDY = SamplingParams(temperature=0)
_STREAM_SECONDS = 3600.0


class Arrivals:
    """Collects the time of every token until every stream has ended."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._times: dict[str, list[float]] = {}

    def __call__(self, events: Sequence[EngineEvent]) -> None:
        for event in events:
            if isinstance(event, Failed):
                self._ended.put(event.message)
            elif isinstance(event, Token):
                self._times.setdefault(event.request_id, []).append(event.at_ns / 1e9)
                if event.finish is not None:
                    self._ended.put("")

    def wait(self, streams: int) -> list[list[float]]:
        """Wait until this many streams have ended; return the times of each one's tokens.

        Raises RuntimeError when one has failed.
        """
        for _ in range(streams):
            if failure := self._ended.get(timeout=_STREAM_SECONDS):
                raise RuntimeError(failure)
        times = list(self._times.values())
        self._times = {}
        return times


def start_engine(options: PeerOptions, arrivals: Arrivals) -> tuple[EngineThread, Model]:
    """Load the model and start the engine as an inference process does."""
    weight_bytes = 0

    def load() -> PreTrainedModel:
        nonlocal weight_bytes
        model = load_model(LoadOptions(Path(options.weights), options.device, "auto"))
        weight_bytes = step_weight_bytes(model)
        return model

    pool_options = PoolOptions(options.max_streams, options.max_model_len)
    loaded = make_forward(load, ForwardOptions(pool_options, options.threads, options.threads))
    pool = loaded.forward.pool
    layout = pool.layout
    # Rounds send the same prompts.
    config = SchedulerConfig(
        _MAX_NUM_SEQS, _MAX_NUM_BATCHED_TOKENS, layout.page_size, enable_prefix_caching=False
    )
    engine = EngineThread(
        ModelRunner(loaded.forward),
        Scheduler(config, PageAllocator(layout.pages)),
        arrivals,
        max_waiting=512,
        threads=options.threads,
    )
    per_token = layout.bytes_per_page(len(pool.keys), pool.keys[0].dtype) // layout.page_size
    vocab = loaded.config.vocab_size
    unused = [f"no {p.name}: {p.reason}" for p in loaded.fast_paths if not p.enabled]
    settings = [f"kernels: {loaded.kernels}", *(unused if options.device == "cuda" else ())]
    return engine, Model("; ".join(settings), vocab, weight_bytes, per_token)


class SizeupPeer:
    """The engine behind its queue."""

    def __init__(self, options: PeerOptions) -> None:
        self._arrivals = Arrivals()
        self._engine, self.model = start_engine(options, self._arrivals)

    def run(self, load: Load) -> Timing:
        prompts = load.prompts(self.model.vocab_size)
        submitted = time.monotonic()
        for index, prompt in enumerate(prompts):
            self._engine.submit(EngineRequest(f"{index}", tuple(prompt), _GREEDY, load.tokens))
        return timing(submitted, self._arrivals.wait(load.streams))

    def peak_device_bytes(self) -> int:
        return peak_device_bytes()

    def close(self) -> None:
        self._engine.close(60)


if __name__ == "__main__":
    serve(SizeupPeer)
