"""Engines over small models, with a recorder of their events."""

import contextlib
import copy
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from inference.engine.forwards.reference_device import ReferenceDevice
from inference.engine.gated_runner import DEADLINE_SECONDS as DEADLINE_SECONDS
from inference.engine.gated_runner import GatedRunner
from inference.engine.parallel.reference_rank import find_reference, is_paged
from sizeup_inference.engine.drafting.drafter import Drafter
from sizeup_inference.engine.drafting.policy import DraftPolicy, Load
from sizeup_inference.engine.forward import ForwardPass
from sizeup_inference.engine.forwards.attention import ATTENTION_NAME
from sizeup_inference.engine.forwards.paged_forward import PagedForward
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.kernels.decoder import CompiledDecoder
from sizeup_inference.engine.kv_pool import KVPool, PoolLayout
from sizeup_inference.engine.loading.make_forward import ForwardOptions, LoadedForward
from sizeup_inference.engine.loading.make_paged import find_cuda
from sizeup_inference.engine.loading.memory import PoolOptions
from sizeup_inference.engine.loading.weights import LoadOptions
from sizeup_inference.engine.parallel.load_parallel import load_on
from sizeup_inference.engine.parallel.ranks import Ranks
from sizeup_inference.engine.protocol import (
    Admitted,
    Constraint,
    EngineEvent,
    EngineRequest,
    Failed,
    Pooling,
    PromptLogprobs,
    SamplingParams,
    Token,
)
from sizeup_inference.engine.scheduling.page_allocator import PageAllocator
from sizeup_inference.engine.scheduling.scheduler import Scheduler, SchedulerConfig
from sizeup_inference.engine.thread import EngineThread

torch.set_num_threads(1)  # for models this small, waking threads costs more than it gains

GREEDY = SamplingParams(temperature=0)


class Recorder:
    """Keeps the events of each request and lets a test wait for them."""

    def __init__(self) -> None:
        self.events: dict[str, list[EngineEvent]] = defaultdict(list)
        self.batches: list[Sequence[EngineEvent]] = []
        self.on_events: Callable[[Sequence[EngineEvent]], None] = lambda events: None
        """Called on the engine's thread before events are recorded."""
        self._changed = threading.Condition()

    def __call__(self, events: Sequence[EngineEvent]) -> None:
        self.on_events(events)
        with self._changed:
            self.batches.append(events)
            for event in events:
                self.events[event.request_id].append(event)
            self._changed.notify_all()

    def wait(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, DEADLINE_SECONDS), "timeout"

    def wait_ended(self, request_ids: Sequence[str], choices: int = 1) -> None:
        self.wait(lambda: all(self.ended(i) >= choices for i in request_ids))

    def ended(self, request_id: str) -> int:
        """Count terminal events."""
        return sum(
            not isinstance(e, Admitted | PromptLogprobs)
            and not (isinstance(e, Token) and e.finish is None)
            for e in self.events[request_id]
        )

    def tokens(self, request_id: str, choice: int = 0) -> list[int]:
        events = self.events[request_id]
        assert not any(isinstance(e, Failed) for e in events), events
        return [e.token_id for e in events if isinstance(e, Token) and e.choice == choice]


@dataclass(frozen=True)
class EngineOptions:
    """The limits of a test's engine."""

    pages: int = 512
    page_size: int = 4
    max_num_seqs: int = 64
    max_num_batched_tokens: int = 512
    max_waiting: int = 64
    chunk: int | None = None
    compiled: bool = False
    """Compute steps with the compiled decoder; page_size is a multiple of 16 then."""
    draft_tokens: int = 4
    """Of each step, where there is a draft model."""
    ranks: Ranks | None = None
    """Compute steps on these; page_size is 16 then, and `device` the paged forward pass."""
    device: ReferenceDevice | None = None
    """Compute steps with the paged forward pass, with its page size; decodes of up to a quarter of
    max_num_seqs in graphs."""


class AlwaysDraft(DraftPolicy):
    """Drafts in every step, whatever it costs, except for some at first."""

    left: int = 0
    """Steps before the first with drafts."""

    def tokens(self, load: Load) -> int:
        self.left -= 1
        return 0 if self.left >= 0 else self.maximum


@dataclass
class Harness:
    """A running engine and its parts."""

    engine: EngineThread
    scheduler: Scheduler
    runner: GatedRunner
    pool: KVPool
    recorder: Recorder
    drafter: Drafter | None = None
    policy: AlwaysDraft = field(default_factory=AlwaysDraft)
    """Of the drafter."""

    def run(self, requests: Sequence[EngineRequest]) -> dict[str, list[int]]:
        """Submit all at once, wait for all, and return the tokens of each."""
        for request in requests:
            self.engine.submit(request)
        self.recorder.wait_ended([r.id for r in requests])
        return {r.id: self.recorder.tokens(r.id) for r in requests}

    @contextmanager
    def before_a_step(self) -> Iterator[None]:
        """Requests submitted inside the block are admitted together."""
        with self.runner.closed():
            self.engine.submit(request("plug", [1], 1))
            self.runner.wait_held()
            yield

    def assert_settled(self) -> None:
        """Assert that no request holds any state."""
        stats = self.engine.stats()
        assert (stats.running, stats.waiting, stats.pages_used) == (0, 0, 0)
        assert self.engine.is_idle()


@contextmanager
def running_engine(
    model: PreTrainedModel,
    options: EngineOptions = EngineOptions(),
    draft: PreTrainedModel | None = None,
) -> Iterator[Harness]:
    """Run an engine over models made by `pooled`, which `compiled` makes unusable."""
    with contextlib.ExitStack() as stack:
        forward = stack.enter_context(forward_pass(model, options))
        drafter = None
        policy = AlwaysDraft(options.draft_tokens)
        if draft is not None:
            own, target = draft.config.vocab_size, model.config.vocab_size
            drafting = stack.enter_context(forward_pass(draft, options))
            drafter = Drafter(drafting, policy, vocabulary=own, target=target)
        harness = stack.enter_context(_running(forward, options, drafter))
        yield replace(harness, policy=policy)


@contextmanager
def forward_pass(model: PreTrainedModel, options: EngineOptions) -> Iterator[ForwardPass]:
    """Make the forward pass of a model made by `pooled`, with a KV pool."""
    forward = _forward(model, options)
    try:
        yield forward
    finally:
        if isinstance(forward, CompiledDecoder):
            forward.close()


@contextmanager
def _running(
    forward: ForwardPass, options: EngineOptions, drafter: Drafter | None
) -> Iterator[Harness]:
    scheduler_config = SchedulerConfig(
        options.max_num_seqs, options.max_num_batched_tokens, options.page_size, options.chunk
    )
    scheduler = Scheduler(scheduler_config, PageAllocator(options.pages))
    recorder = Recorder()
    runner = GatedRunner(forward)
    engine = EngineThread(
        runner,
        scheduler,
        recorder,
        max_waiting=options.max_waiting,
        threads=1,
        drafter=drafter,
    )
    try:
        yield Harness(engine, scheduler, runner, forward.pool, recorder, drafter)
    finally:
        engine.close(DEADLINE_SECONDS)
        assert not engine.is_alive()


def _forward(model: PreTrainedModel, options: EngineOptions) -> ForwardPass:
    if options.ranks is not None:
        size = PoolOptions(1, options.pages * options.page_size)
        return on_ranks(options.ranks, model, size, paged=options.device is not None).forward
    config = model.config
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    layout = PoolLayout(options.pages, options.page_size, config.num_key_value_heads, head_dim)
    devices = [torch.device("cpu")] * config.num_hidden_layers
    pool = KVPool(layout, torch.float32, devices, padding_pages=1)
    if options.compiled:
        return CompiledDecoder(model, pool, 2)
    if options.device is None:
        return TransformersForward(model, pool)
    paged = PagedForward(model, pool, options.device)
    paged.capture(options.max_num_seqs // 4, pool.layout.pages)
    return paged


def on_ranks(
    ranks: Ranks, model: PreTrainedModel, pool: PoolOptions, *, paged: bool = False
) -> LoadedForward:
    """Load a model on ranks that run reference_rank.py, with pages of 16."""
    options = ForwardOptions(pool, 1, 1, compiled=paged)
    assert is_paged(options) is paged
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        load = LoadOptions(Path(folder), "cpu", "float32", tensor_parallel=ranks.size)
        return load_on(ranks, load, options, find_reference if paged else find_cuda)


def random_model(config: PretrainedConfig, seed: int = 0) -> PreTrainedModel:
    """Make a float32 model with random weights, spread widely enough for unambiguous argmaxes."""
    torch.manual_seed(seed)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.float32
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2 if parameter.dim() > 1 else 1.0)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def pooled(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of a model that uses the pooled attention."""
    copied: PreTrainedModel = type(model)._from_config(  # type: ignore[no-untyped-call]
        copy.deepcopy(model.config), attn_implementation=ATTENTION_NAME, dtype=model.dtype
    )
    torch.nn.Module.to(copied, model.device)
    copied.load_state_dict(model.state_dict())
    copied.eval()  # type: ignore[no-untyped-call]
    return copied


def generate(model: PreTrainedModel, prompt: Sequence[int], tokens: int, eos: int) -> list[int]:
    """Return transformers' own greedy output, the end-of-sequence token included."""
    output = model.generate(  # type: ignore[operator]
        torch.tensor([list(prompt)], device=model.device),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long, device=model.device),
        max_new_tokens=tokens,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        repetition_penalty=None,
        eos_token_id=eos,
        pad_token_id=eos,
    )
    new_tokens: list[int] = output[0, len(prompt) :].tolist()
    return new_tokens


def request(
    name: str,
    prompt: Sequence[int],
    tokens: int = 16,
    sampling: SamplingParams = GREEDY,
    *,
    stop: Sequence[int] = (),
    choices: int = 1,
    min_tokens: int = 0,
    constraint: Constraint | None = None,
    embed: Pooling | None = None,
) -> EngineRequest:
    """Make a request with the defaults tests use."""
    return EngineRequest(
        name,
        tuple(prompt),
        sampling,
        tokens,
        min_tokens,
        frozenset(stop),
        choices,
        embed,
        constraint=constraint,
    )
