"""transformers' ContinuousBatchingManager."""

import time

from transformers import ContinuousBatchingConfig, GenerationConfig

from engine_peers.messages import Load, Model, PeerOptions, Timing, timing
from engine_peers.serve import serve
from engine_peers.torch_model import (
    kv_bytes_per_token,
    load_model,
    peak_device_bytes,
    step_weight_bytes,
)

_RESULT_SECONDS = 3600.0
_PAGE_SIZE = 256
"""The default of transformers; on CPUs faster than 32."""
_CPU_BATCH_TOKENS = 512
"""Attention masks queries by keys of the whole batch: larger batches are slower on CPUs."""


def configuration(options: PeerOptions) -> ContinuousBatchingConfig:
    """Return the settings: every stream fits the cache, and no prompt shares pages."""
    pages = -(-options.max_model_len // _PAGE_SIZE)
    return ContinuousBatchingConfig(
        page_size=_PAGE_SIZE,
        num_blocks=options.max_streams * pages,
        max_batch_tokens=_CPU_BATCH_TOKENS if options.device == "cpu" else None,
        max_requests_per_batch=options.max_streams,
        allow_block_sharing=False,
        safety_margin=0.0,
        auto_switch_to_flash=options.device != "cpu",
    )


class ContinuousBatchingPeer:
    """A running manager."""

    def __init__(self, options: PeerOptions) -> None:
        model = load_model(options)
        self.model = Model(
            f"sdpa, batches of {_CPU_BATCH_TOKENS} tokens",
            model.config.get_text_config().vocab_size,
            step_weight_bytes(model),
            kv_bytes_per_token(model),
        )
        greedy = GenerationConfig(do_sample=False, eos_token_id=-1)  # type: ignore[no-untyped-call]
        self._manager = model.init_continuous_batching(  # type: ignore[operator]
            greedy, configuration(options)
        )
        self._manager.start()

    def run(self, load: Load) -> Timing:
        prompts = load.prompts(self.model.vocab_size)
        submitted = time.perf_counter()
        self._manager.add_requests(prompts, max_new_tokens=load.tokens, record_timestamps=True)
        return timing(submitted, [self._token_times(load) for _ in range(load.streams)])

    def _token_times(self, load: Load) -> list[float]:
        result = self._manager.get_result(timeout=_RESULT_SECONDS)
        if result is None or result.error or len(result.timestamps or ()) != load.tokens:
            raise RuntimeError(f"continuous batching failed: {result and result.error}")
        times: list[float] = result.timestamps
        return times

    def peak_device_bytes(self) -> int:
        return peak_device_bytes()

    def close(self) -> None:
        self._manager.stop(block=True, hard_stop=True)


if __name__ == "__main__":
    serve(ContinuousBatchingPeer)
