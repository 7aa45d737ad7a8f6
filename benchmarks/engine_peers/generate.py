"""transformers' generate: one batch of prompts of equal length, without padding."""

import time

import torch
from transformers import GenerationConfig
from transformers.generation.streamers import BaseStreamer

from engine_peers.messages import Load, Model, PeerOptions, Timing, timing
from engine_peers.serve import serve
from engine_peers.torch_model import (
    kv_bytes_per_token,
    load_model,
    peak_device_bytes,
    step_weight_bytes,
)


class Clock(BaseStreamer):
    """Records when generate delivers the prompts and each token of the batch."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Called after the last token."""


class GeneratePeer:
    """A model behind generate."""

    def __init__(self, options: PeerOptions) -> None:
        self._model = load_model(options)
        self.model = Model(
            "one batch, sdpa",
            self._model.config.get_text_config().vocab_size,
            step_weight_bytes(self._model),
            kv_bytes_per_token(self._model),
        )

    def run(self, load: Load) -> Timing:
        ids = torch.tensor(load.prompts(self.model.vocab_size), device=self._model.device)
        # No end-of-sequence token: nothing is computed to suppress it.
        config = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=load.tokens, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        clock = Clock()
        submitted = time.perf_counter()
        output = self._model.generate(  # type: ignore[operator]
            ids, attention_mask=torch.ones_like(ids), generation_config=config, streamer=clock
        )
        if output.shape[1] != load.prompt + load.tokens:
            raise RuntimeError(f"{output.shape[1] - load.prompt} tokens of {load.tokens}")
        return timing(submitted, [clock.times[1:]] * load.streams)

    def peak_device_bytes(self) -> int:
        return peak_device_bytes()

    def close(self) -> None:
        pass


if __name__ == "__main__":
    serve(GeneratePeer)
