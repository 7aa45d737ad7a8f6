"""Starting the engine: find, verify, load and warm up the model. Blocking."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import torch

from sizeup_inference.engine.drafting.load_draft import (
    LoadedDraft,
    draft_memory,
    fast_paths,
    load_draft,
)
from sizeup_inference.engine.kv_pool import KVPool
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.make_forward import ForwardOptions, LoadedForward, load_forward
from sizeup_inference.engine.loading.memory import PAGE_SIZE, PoolOptions
from sizeup_inference.engine.loading.weights import LoadOptions, load_model, read_text_config
from sizeup_inference.engine.model_runner import ModelRunner
from sizeup_inference.engine.parallel.load_parallel import load_parallel
from sizeup_inference.engine.protocol import (
    Deliver,
    EngineEvent,
    EngineRequest,
    Failed,
    SamplingParams,
    Token,
)
from sizeup_inference.engine.quantization.formats import Format
from sizeup_inference.engine.scheduling.page_allocator import PageAllocator
from sizeup_inference.engine.scheduling.scheduler import Scheduler, SchedulerConfig
from sizeup_inference.engine.thread import EngineThread
from sizeup_inference.requests.vectors import EmbeddingConfig
from sizeup_inference.settings import Settings
from sizeup_inference.startup.embedding_config import read_embedding_config
from sizeup_inference.startup.loaded_model import Progress, RunningModel
from sizeup_inference.startup.model_info import describe_folder, read_eos_token_ids
from sizeup_inference.text.grammar import GrammarCompiler
from sizeup_inference.text.hf_tokenizer import HuggingFaceTokenizer
from sizeup_inference.text.llguidance_compiler import LLGuidanceCompiler
from sizeup_store.weights import check_structure, find_model, verify_checksums
from sizeup_wire.model import FastPath, ModelInfo

log = logging.getLogger(__name__)

_WARM_UP_ID = "warm-up"
_WARM_UP_SECONDS = 600.0
"""A 72B model over several devices takes minutes for its first token; a hung device never ends."""


def start_engine(settings: Settings, deliver: Deliver, progress: Progress) -> RunningModel:
    """Load the model and generate one token.

    Raises WeightsError for a folder that is unsafe or incomplete, LoadError for missing devices or
    memory, and transformers' own errors for weights that do not match their configuration.
    """
    started = time.monotonic_ns()
    torch.set_num_threads(settings.threads or available_cpus())
    progress("verify", 0.0)
    folder = find_model(settings.model, settings.revision, settings.hub_cache)
    check_structure(folder)
    with _checksums_verified(folder):
        # Before the weights, which may take minutes: other errors are reported first.
        tokenizer = HuggingFaceTokenizer.load(folder)
        config = read_text_config(folder)
        embedding = read_embedding_config(folder)
        context = context_length(config.max_position_embeddings, settings.max_model_len)
        limits = _scheduler_config(settings)
        draft_folder = _find_draft(settings, folder, tokenizer)
        progress("load", 0.1)
        loaded = _load(settings, folder, context, draft_folder, only_embeds=embedding is not None)
    draft = _load_draft(settings, loaded, context, draft_folder) if draft_folder else None
    if draft is not None:
        loaded = replace(loaded, fast_paths=fast_paths(loaded, draft))
    torch.set_num_threads(loaded.threads)
    progress("warm up", 0.9)
    engine = _start_thread(limits, settings.max_waiting, loaded, draft, deliver)
    decided = {
        "context_length": _within_pool(context, loaded.forward.pool),
        "longest_token": tokenizer.longest_token,
        "eos_token_ids": read_eos_token_ids(folder, tokenizer.eos_token_id),
        "load_ns": time.monotonic_ns() - started,
        **_computation(loaded, draft),
    }
    info = describe_folder(settings, folder).model_copy(update=decided)
    grammars = _grammars(info, tokenizer)
    return RunningModel(engine, info, tokenizer, embedding or EmbeddingConfig(), grammars)


def _grammars(info: ModelInfo, tokenizer: HuggingFaceTokenizer) -> GrammarCompiler | None:
    if "completion" not in info.capabilities:
        return None
    try:
        return LLGuidanceCompiler(tokenizer, info.vocab_size, info.eos_token_ids)
    except ValueError as error:
        log.warning("structured_output.disabled", extra={"reason": str(error)})
        return None


def _find_draft(settings: Settings, model: Path, tokenizer: HuggingFaceTokenizer) -> Path | None:
    """Return the folder of the draft model for that of a model; None without one.

    Raises WeightsError for a folder that is unsafe or incomplete, and LoadError for models that
    embed, for one on several ranks and for a vocabulary that is not `tokenizer`'s.
    """
    if settings.draft_model is None:
        return None
    if settings.tensor_parallel > 1:
        raise LoadError(
            f"draft_model {settings.draft_model} with tensor_parallel {settings.tensor_parallel}: "
            "a model on several ranks is computed without drafts"
        )
    folder = find_model(settings.draft_model, settings.draft_revision, settings.hub_cache)
    check_structure(folder)
    for path, name in ((model, settings.model), (folder, settings.draft_model)):
        if read_embedding_config(path) is not None:
            raise LoadError(f"draft_model: {name} is made for embeddings, and generates no text")
    own, other = tokenizer.vocabulary, HuggingFaceTokenizer.load(folder).vocabulary
    if own != other:
        differing = sorted(token for token, _ in own.items() ^ other.items())
        raise LoadError(
            f"draft_model {settings.draft_model} has another vocabulary than {settings.model}: "
            f"{len(set(differing))} tokens differ, such as {differing[0]!r}"
        )
    return folder


def _load(
    settings: Settings, folder: Path, context: int, draft: Path | None, *, only_embeds: bool
) -> LoadedForward:
    gpu_memory, ranks = settings.gpu_memory_bytes, settings.tensor_parallel
    load = LoadOptions(
        folder,
        settings.device,
        settings.dtype,
        gpu_memory,
        tie_head=only_embeds,
        tensor_parallel=ranks,
        quantization=_format(settings),
    )
    reserved = None if draft is None else draft_memory(replace(load, folder=draft))
    options = _forward_options(settings, context)
    options = replace(options, pool=replace(options.pool, draft=reserved))
    return load_parallel(load, options) if ranks > 1 else load_forward(load, options)


def _forward_options(settings: Settings, context: int) -> ForwardOptions:
    sequences, gpu_memory = settings.max_num_seqs, settings.gpu_memory_bytes
    pool = PoolOptions(sequences, context, settings.kv_cache_bytes, gpu_memory)
    cpus = max(1, available_cpus() // settings.tensor_parallel)
    compiled, form = settings.compiled_kernels, _format(settings)
    return ForwardOptions(pool, settings.threads, cpus, compiled, form)


def _format(settings: Settings) -> Format | None:
    return None if settings.quantization is None else Format(settings.quantization)


def _load_draft(
    settings: Settings, target: LoadedForward, context: int, folder: Path
) -> LoadedDraft:
    """Load a draft model on the device of the model's first layer."""
    device = str(target.forward.pool.keys[0].device)
    gpu_memory, form = settings.gpu_memory_bytes, _format(settings)
    load = LoadOptions(folder, device, settings.dtype, gpu_memory, quantization=form)
    with _checksums_verified(folder):
        draft = load_draft(lambda: load_model(load), target, _forward_options(settings, context))
    log.info("drafting.loaded", extra={"used": draft.path.enabled, "reason": draft.path.reason})
    return draft


@contextlib.contextmanager
def _checksums_verified(folder: Path) -> Iterator[None]:
    """Verify the checksums of the weights while the block loads them.

    Both read each byte from the disk once. Leaving the block waits for the checksums and raises
    WeightsError if one differs, which also explains any error of the block.
    """
    with ThreadPoolExecutor(1, "verify") as executor:
        verification = executor.submit(verify_checksums, folder)
        try:
            yield
        finally:
            verification.result()


def context_length(trained: int, requested: int | None) -> int:
    """Return the maximum of prompt and output in tokens.

    Raises LoadError for more than the model was trained for: its output would be noise.
    """
    if requested is not None and requested > trained:
        raise LoadError(f"max_model_len {requested} exceeds the model's {trained}")
    return requested or trained


def _within_pool(context: int, pool: KVPool) -> int:
    """Return the context that fits the KV pool, with a warning if it is shorter."""
    capacity = pool.layout.pages * pool.layout.page_size
    if capacity < context:
        extra = {"tokens": capacity, "requested": context, "reason": "KV cache size"}
        log.warning("context.reduced", extra=extra)
    return min(context, capacity)


def available_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the CPUs that this process may use, within the cgroup's quota.

    More threads would wait for one another in every step.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, period = _cpu_quota(cgroup)
    return cpus if quota in ("max", "-1") else max(1, min(cpus, -(-int(quota) // int(period))))


def _cpu_quota(cgroup: Path) -> tuple[str, str]:
    """Return quota and period in microseconds, from a cgroup of version 2 or 1."""
    if (unified := cgroup / "cpu.max").exists():
        quota, _, period = unified.read_text().strip().partition(" ")
        return quota, period
    files = [cgroup / "cpu" / f"cpu.cfs_{name}_us" for name in ("quota", "period")]
    if not all(file.exists() for file in files):
        return "max", ""
    quota, period = (file.read_text().strip() for file in files)
    return quota, period


class _WarmUp:
    """Receives events until the first token of the warm-up, then passes them on."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._ended = threading.Event()
        self._failure: str | None = None

    def __call__(self, events: Sequence[EngineEvent]) -> None:
        if self._ended.is_set():
            self._deliver(events)
            return
        for event in events:
            if isinstance(event, Failed):
                self._failure = event.message
            if isinstance(event, Token | Failed):
                self._ended.set()

    def wait(self) -> None:
        if not self._ended.wait(_WARM_UP_SECONDS):
            raise LoadError(f"no token after {_WARM_UP_SECONDS:.0f} s")
        if self._failure is not None:
            raise LoadError(f"the first token failed: {self._failure}")


def _scheduler_config(settings: Settings) -> SchedulerConfig:
    """Raises ValueError for limits that contradict each other."""
    return SchedulerConfig(
        settings.max_num_seqs,
        settings.max_num_batched_tokens,
        PAGE_SIZE,
        enable_prefix_caching=settings.enable_prefix_caching,
    )


def _start_thread(
    limits: SchedulerConfig,
    max_waiting: int,
    loaded: LoadedForward,
    draft: LoadedDraft | None,
    deliver: Deliver,
) -> EngineThread:
    """Start the compute thread and wait for its first token."""
    layout = loaded.forward.pool.layout
    config = replace(limits, page_size=layout.page_size)
    warm_up = _WarmUp(deliver)
    engine = EngineThread(
        ModelRunner(loaded.forward),
        Scheduler(config, PageAllocator(layout.pages)),
        warm_up,
        max_waiting=max_waiting,
        threads=loaded.threads,
        drafter=None if draft is None else draft.drafter,
    )
    loaded.when_lost(engine.abandon)
    greedy = SamplingParams(temperature=0)
    engine.submit(EngineRequest(_WARM_UP_ID, (0,), greedy, max_tokens=1))
    warm_up.wait()
    return engine


def _computation(model: LoadedForward, draft: LoadedDraft | None) -> dict[str, object]:
    """Return where and how the models are computed, as fields of ModelInfo."""
    models = [model] if draft is None or draft.forward is None else [model, draft.forward]
    # The ranks' pools are alike.
    pool_bytes = sum(_device_bytes(m.forward.pool) * m.tensor_parallel for m in models)
    devices = dict.fromkeys(str(keys.device) for keys in model.forward.pool.keys)
    return {
        "memory_bytes": sum(m.memory_bytes for m in models) + pool_bytes,
        "device_bytes": sum(m.device_bytes for m in models) + pool_bytes,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": ", ".join(devices),
        "tensor_parallel": model.tensor_parallel,
        "kernels": model.kernels,
        "fast_paths": tuple(FastPath(**asdict(path)) for path in model.fast_paths),
    }


def _device_bytes(pool: KVPool) -> int:
    return sum(t.nbytes for t in (*pool.keys, *pool.values) if t.device.type != "cpu")
