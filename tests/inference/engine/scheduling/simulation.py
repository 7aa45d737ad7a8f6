"""A scheduler under a random workload, with a pool that records what each slot holds."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace

from inference.engine.engines import request
from sizeup_inference.engine.protocol import Pooling
from sizeup_inference.engine.scheduling.page_allocator import PageAllocator
from sizeup_inference.engine.scheduling.scheduler import Chunk, Scheduler, SchedulerConfig, Step
from sizeup_inference.engine.scheduling.sequence import SequenceState

PAGE_SIZE = 4

Content = tuple[str | None, tuple[int, ...]] | str
"""Salt and every token up to a position, which determine its keys and values."""


def make(
    pages: int = 100,
    seqs: int = 8,
    budget: int = 16,
    threshold: int | None = None,
    *,
    caching: bool = True,
) -> Scheduler:
    config = SchedulerConfig(seqs, budget, PAGE_SIZE, threshold, enable_prefix_caching=caching)
    return Scheduler(config, PageAllocator(pages))


@dataclass
class Simulation:
    """Submits, cancels, steps and fails at random, and checks every step."""

    scheduler: Scheduler
    rng: random.Random
    largest: int
    prefixes: int = 3
    """Prompts begin with one of so many sequences of tokens; 0: with none."""
    slots: dict[int, Content] = field(default_factory=dict)
    finished: Counter[str] = field(default_factory=Counter)
    submitted: int = 0
    removed: int = 0
    computed: int = 0
    """Tokens."""
    drafts: int = 0
    """Draft tokens of each decoding sequence, where there is room; right and wrong ones."""
    accepted: int = 0

    def submit(self) -> None:
        rng = self.rng
        length = min(rng.choice((1, 1, 2, 5, 9, 20, 33)), self.largest - 1)
        output = rng.randint(1, min(30, self.largest - length))
        prefix = rng.randrange(self.prefixes) if self.prefixes else self.submitted
        shared = rng.choice((0, 6, 18, 40))
        prompt = [prefix * 100 + i if i < shared else rng.randrange(2) for i in range(length)]
        made = request(
            f"r{self.submitted}",
            prompt,
            output,
            choices=rng.choice((1, 1, 1, 3)),
            embed=rng.choice(tuple(Pooling)) if rng.random() < 0.1 else None,
        )
        made = replace(
            made,
            cache_salt=rng.choice((None, None, "a")),
            prompt_logprobs=0 if rng.random() < 0.1 else None,
        )
        self.scheduler.add(SequenceState(made, choice) for choice in range(made.choices))
        self.submitted += made.choices

    def cancel(self) -> None:
        alive = [*self.scheduler.running, *self.scheduler.waiting]
        if alive:
            self._remove(self.rng.choice(alive), failed=False)

    def step(self, *, fails: float = 0.0) -> None:
        """Run a step; it fails, or one of its requests does, each with this probability."""
        step = self._with_drafts(self._schedule())
        self._check_limits(step)
        if self.rng.random() < fails:
            for chunk in step.chunks:
                self._write(chunk, "of a failed step")
            for chunk in step.chunks:
                self._remove(chunk.sequence, failed=True)
            return
        invalid = self.rng.choice(step.chunks) if self.rng.random() < fails else None
        for chunk in step.chunks:
            self._check_tokens(chunk, "NaN" if chunk is invalid else None)
        self.scheduler.commit(step)
        self.scheduler.observe(step, self.rng.random() / 100)
        if invalid is not None:
            self._remove(invalid.sequence, failed=True)
        for chunk in [c for c in step.chunks if c.completes]:
            self._append(chunk.sequence)
            self._accept(chunk)
        self._check_references()

    def _accept(self, chunk: Chunk) -> None:
        sequence = chunk.sequence
        for draft in chunk.drafts:
            if not sequence.block_table or sequence.token_ids[-1] != draft:
                return
            self.accepted += 1
            self.scheduler.accept_draft(sequence)
            self._append(sequence)

    def _with_drafts(self, step: Step) -> Step:
        rooms = self.scheduler.reserve_drafts(step, self.drafts)
        return replace(step, chunks=tuple(self._with_draft(c, rooms) for c in step.chunks))

    def _with_draft(self, chunk: Chunk, rooms: dict[SequenceState, int]) -> Chunk:
        room = rooms.get(chunk.sequence, 0)
        return replace(chunk, drafts=tuple(self.rng.randrange(2) for _ in range(room)))

    def _append(self, sequence: SequenceState) -> None:
        if not sequence.block_table:
            return  # failed in this step
        if sequence.request.embed or sequence.append(self.rng.randrange(2)) is not None:
            self.scheduler.remove(sequence)
            self.finished[f"{sequence.request.id}/{sequence.choice}"] += 1

    def _remove(self, sequence: SequenceState, *, failed: bool) -> None:
        removed = self.scheduler.remove_request(sequence.request.id, uncache=failed)
        self.removed += len(removed)

    def _schedule(self) -> Step:
        running, preemptions = list(self.scheduler.running), self.scheduler.num_preemptions
        decoding = {s for s in running if s.num_pending == 1}
        step = self.scheduler.schedule()
        scheduled = {c.sequence for c in step.chunks}
        if self.scheduler.num_preemptions == preemptions:
            assert decoding <= scheduled
        if running and running[0] in decoding and running[0].block_table:
            assert running[0] in scheduled, "the oldest keeps running"
        self._check_limits(step)
        return step

    def _check_limits(self, step: Step) -> None:
        config = self.scheduler.config
        assert step.chunks, "a step makes progress"
        rows = sum(c.length + len(c.drafts) for c in step.chunks)
        assert rows <= config.max_num_batched_tokens
        assert len(step.chunks) <= len(self.scheduler.running) <= config.max_num_seqs
        assert len({c.sequence for c in step.chunks}) == len(step.chunks)
        threshold = config.long_prefill_token_threshold
        assert all(c.length <= (threshold or c.length) for c in step.chunks)

    def _check_references(self) -> None:
        """No page is lost, and every page of a block table is held."""
        held = {p for s in self.scheduler.running for p in s.block_table}
        assert self.scheduler.pages.num_free == self.scheduler.pages.total - len(held)
        assert not any(s.block_table for s in self.scheduler.waiting)

    def _check_tokens(self, chunk: Chunk, wrong: str | None) -> None:
        """Write a chunk; assert what the pages of its sequence hold, unless it is wrong."""
        assert chunk.start == chunk.sequence.num_computed
        if chunk.sequence.needs_every_position and chunk.sequence.num_computed == 0:
            assert chunk.start == 0
        self.computed += chunk.length
        self._write(chunk, wrong)
        if wrong is None:
            for position in range(chunk.end):
                assert self.slots[slot(chunk, position)] == content(chunk, position)

    def _write(self, chunk: Chunk, wrong: str | None) -> None:
        others = [s for s in self.scheduler.running if s is not chunk.sequence]
        shared = {page for other in others for page in other.block_table}
        for position in range(chunk.start, chunk.end + len(chunk.drafts)):
            assert slot(chunk, position) // PAGE_SIZE not in shared, "shared pages are read only"
            self.slots[slot(chunk, position)] = wrong or content(chunk, position)


def slot(chunk: Chunk, position: int) -> int:
    return chunk.sequence.block_table[position // PAGE_SIZE] * PAGE_SIZE + position % PAGE_SIZE


def content(chunk: Chunk, position: int) -> Content:
    sequence = chunk.sequence
    tokens = (*sequence.token_ids[: chunk.end], *chunk.drafts)
    return sequence.request.cache_salt, tuple(tokens[: position + 1])
