"""llama.cpp through the low-level interface of llama-cpp-python.

Runs in the environment of `make llama-venv`. Prompts are computed in batches of 512 tokens, then
every decode step is one call for all streams; sampling is an argmax of the logits.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gguf
import llama_cpp
import numpy as np

from engine_peers.llama_log import log_errors_only
from engine_peers.messages import Load, Model, PeerOptions, Timing, timing
from engine_peers.serve import serve

_BATCH = 512
"""Tokens of a batch, logical and physical: llama.cpp's default of n_ubatch."""
_CELLS = 256
"""The multiple to which llama.cpp rounds the context of a sequence."""


_FIELDS = (
    "vocab_size",
    "block_count",
    "embedding_length",
    "attention.head_count",
    "attention.head_count_kv",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One token of a batch."""

    stream: int
    position: int
    token: int
    sampled: bool
    """Whether the next token is sampled from its logits."""


def prefill_batches(prompts: Sequence[Sequence[int]]) -> Iterator[list[Entry]]:
    """Yield the prompts, one after another, in batches."""
    entries = [
        Entry(stream, position, token, position == len(prompt) - 1)
        for stream, prompt in enumerate(prompts)
        for position, token in enumerate(prompt)
    ]
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]


class Context:
    """A llama_context for one number of streams."""

    def __init__(self, model: Any, options: PeerOptions, streams: int) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_seq_max = streams
        params.n_ctx = streams * -(-options.max_model_len // _CELLS) * _CELLS
        params.n_batch = params.n_ubatch = _BATCH
        params.n_threads = params.n_threads_batch = options.threads
        params.kv_unified = False
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self._context = llama_cpp.llama_init_from_model(model, params)
        if not self._context:
            raise RuntimeError("llama_init_from_model failed")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(_BATCH, 0, 1)
        vocab = llama_cpp.llama_model_get_vocab(model)
        self._vocab_size: int = llama_cpp.llama_vocab_n_tokens(vocab)
        self.streams = streams

    def clear(self) -> None:
        """Forget every sequence."""
        llama_cpp.llama_memory_clear(self._memory, False)

    def decode(self, entries: Sequence[Entry]) -> list[int]:
        """Compute a batch and return the sampled tokens in its order."""
        batch = self._batch
        batch.n_tokens = len(entries)
        for i, entry in enumerate(entries):
            batch.token[i] = entry.token
            batch.pos[i] = entry.position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = entry.stream
            batch.logits[i] = entry.sampled
        if code := llama_cpp.llama_decode(self._context, batch):
            raise RuntimeError(f"llama_decode returned {code}")
        count = sum(entry.sampled for entry in entries)
        return self._sample(count) if count else []

    def _sample(self, rows: int) -> list[int]:
        pointer = llama_cpp.llama_get_logits(self._context)
        logits = np.ctypeslib.as_array(pointer, (rows, self._vocab_size))
        tokens: list[int] = logits.argmax(axis=1).tolist()
        return tokens

    def close(self) -> None:
        """Free the context."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)


def describe(file: str) -> Model:
    """Return the sizes of a GGUF model; keys and values are float16, the default of llama.cpp."""
    reader = gguf.GGUFReader(file)
    sizes = {tensor.name: int(tensor.n_bytes) for tensor in reader.tensors}
    untied = "output.weight" in sizes
    field = {name: reader.get_field(f"qwen2.{name}").contents() for name in _FIELDS}
    heads, kv_heads = field["attention.head_count"], field["attention.head_count_kv"]
    return Model(
        settings="flash attention, kv_unified off, n_ubatch 512",
        vocab_size=field["vocab_size"],
        step_weight_bytes=sum(sizes.values()) - untied * sizes["token_embd.weight"],
        kv_bytes_per_token=2
        * field["block_count"]
        * kv_heads
        * (field["embedding_length"] // heads)
        * np.dtype(np.float16).itemsize,
    )


class LlamaPeer:
    """A GGUF model."""

    def __init__(self, options: PeerOptions) -> None:
        log_errors_only()
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        self._model = llama_cpp.llama_model_load_from_file(options.weights.encode(), params)
        if not self._model:
            raise RuntimeError(f"{options.weights}: llama_model_load_from_file failed")
        self._options = options
        self._context = Context(self._model, options, 1)
        self.model = describe(options.weights)

    def run(self, load: Load) -> Timing:
        context = self._context_for(load.streams)
        context.clear()
        prompts = load.prompts(self.model.vocab_size)
        submitted = time.perf_counter()
        tokens: list[int] = []
        times: list[list[float]] = []
        for batch in prefill_batches(prompts):
            sampled = context.decode(batch)
            tokens += sampled
            times += [[time.perf_counter()] for _ in sampled]
        for position in range(load.prompt, load.prompt + load.tokens - 1):
            step = [Entry(i, position, token, True) for i, token in enumerate(tokens)]
            tokens = context.decode(step)
            now = time.perf_counter()
            for stream in times:
                stream.append(now)
        return timing(submitted, times)

    def _context_for(self, streams: int) -> Context:
        if self._context.streams != streams:
            self._context.close()
            self._context = Context(self._model, self._options, streams)
        return self._context

    def peak_device_bytes(self) -> int:
        return 0

    def close(self) -> None:
        self._context.close()
        llama_cpp.llama_model_free(self._model)


if __name__ == "__main__":
    serve(LlamaPeer)
