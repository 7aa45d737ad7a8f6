"""Continuous batching with chunked prefill. Pure: no torch, no clock, no I/O.

A step holds one token of each decoding sequence and chunks of prompts, as many tokens as the
decoding sequences can wait for. Admission is fair between clients, and first come, first served
among the requests of one, except that a sequence whose next page is being computed by a running one
is passed over until the page is in the prefix cache.
Scheduling is starvation-free: the budget exceeds the number of sequences, so a prefill advances in
every other step at least, and preemption takes the youngest sequence, so the oldest always
finishes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sizeup_inference.engine.scheduling.page_allocator import PageAllocator
from sizeup_inference.engine.scheduling.prefill_budget import PrefillBudget
from sizeup_inference.engine.scheduling.prefix_cache import Match, PrefixCache
from sizeup_inference.engine.scheduling.sequence import SequenceState
from sizeup_inference.engine.scheduling.waiting_queue import OUTPUT_WEIGHT, WaitingQueue

_MAX_PARTIAL_PREFILLS = 4
"""Prompts that share the prefill budget of a step: enough for a short prompt to overtake a long
one, few enough that equal prompts finish one by one and not all at the end."""


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """Bounds of one step, and the page size of the pool.

    Raises ValueError where decoding sequences could starve a prefill.
    """

    max_num_seqs: int
    max_num_batched_tokens: int
    page_size: int
    long_prefill_token_threshold: int | None = None
    """Upper bound of one prompt's tokens in a step, below the budget."""
    enable_prefix_caching: bool = True

    def __post_init__(self) -> None:
        if self.max_num_batched_tokens <= self.max_num_seqs:
            raise ValueError(
                f"max_num_batched_tokens ({self.max_num_batched_tokens}) must exceed "
                f"max_num_seqs ({self.max_num_seqs})"
            )


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive tokens of one sequence, computed in one step."""

    sequence: SequenceState
    start: int
    """Position of the first."""
    length: int
    drafts: tuple[int, ...] = ()
    """Draft tokens that follow it, computed in the same step; after a decoding sequence only."""

    @property
    def end(self) -> int:
        """Position after the last one, without drafts."""
        return self.start + self.length

    @property
    def completes(self) -> bool:
        """Whether it ends with the sequence's last token, so that the next one is sampled."""
        return self.end >= self.sequence.num_tokens  # beyond it in a step scheduled ahead

    @property
    def is_sampled(self) -> bool:
        return self.completes and self.sequence.request.embed is None

    @property
    def decodes(self) -> bool:
        """Whether it is the one token of a decoding sequence."""
        return self.length == 1 and self.is_sampled

    @property
    def pairs(self) -> float:
        """Keys that its tokens attend to, in sum."""
        return self.length * (self.start + self.end + 1) / 2

    @property
    def prompt_logprob_positions(self) -> range:
        """Positions whose logits give a requested, undelivered log-probability of the prompt.

        Empty for every choice but the first: the prompt is the same for all.
        """
        request = self.sequence.request
        if request.prompt_logprobs is None or request.embed or self.sequence.choice:
            return range(0)
        first = max(self.start, self.sequence.num_prompt_logprobs)
        return range(first, min(self.end, len(request.prompt_ids) - 1))


@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass."""

    chunks: tuple[Chunk, ...]
    admitted: tuple[SequenceState, ...]
    """Sequences that left the waiting queue for the first time."""


class Scheduler:
    """The waiting and the running sequences, and what each step computes."""

    def __init__(self, config: SchedulerConfig, pages: PageAllocator) -> None:
        """`pages` belongs to this scheduler."""
        self.config = config
        self.pages = pages
        self.prefix_cache = PrefixCache(
            pages, config.page_size, enabled=config.enable_prefix_caching
        )
        self._prefill_budget = PrefillBudget(config.max_num_batched_tokens)
        self.waiting: WaitingQueue[SequenceState] = WaitingQueue(
            client=lambda sequence: sequence.request.client,
            cost=lambda sequence: len(sequence.request.prompt_ids),
        )
        self.running: list[SequenceState] = []
        """In the order of admission, oldest first."""
        self.num_preemptions = 0

    @property
    def has_work(self) -> bool:
        return bool(self.waiting or self.running)

    @property
    def num_unfinished(self) -> int:
        """Sequences that will decode together if nothing else arrives."""
        return min(self.config.max_num_seqs, len(self.running) + len(self.waiting))

    def add(self, sequences: Iterable[SequenceState]) -> None:
        """Append the choices of one request to the waiting queue, which the caller bounds."""
        for sequence in sequences:
            self.waiting.append(sequence)

    def remove_request(self, request_id: str, *, uncache: bool = False) -> list[SequenceState]:
        """Remove a request's sequences, running or waiting, and free their pages.

        `uncache` removes their pages from the prefix cache, because what they hold may be wrong.
        """
        removed = [s for s in (*self.running, *self.waiting) if s.request.id == request_id]
        for sequence in removed:
            if uncache:
                self.pages.uncache(sequence.block_table)
            self.remove(sequence)
        return removed

    def remove(self, sequence: SequenceState) -> None:
        """Remove one sequence, which must be running or waiting, and free its pages."""
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self.waiting.remove(sequence)
        self.pages.release(sequence.block_table)

    def schedule(self) -> Step:
        """Compose the next step. The caller runs it and then calls commit."""
        self._release_draft_pages()
        decodes = self._schedule_decodes()
        admitted = self._admit(self._budget(len(decodes)))
        prefills = self._schedule_prefills(decodes, self._budget(len(decodes)))
        return Step((*decodes, *prefills), tuple(admitted))

    def schedule_ahead(self, step: Step) -> Step | None:
        """Compose the decodes after a step that still runs, so that its tokens are not known.

        A sequence whose last token the step samples is left out; one that a stop token ends is
        computed in vain. None where the next step would be another one in any case: for want of
        pages, for sequences that wait for a free place or are in prefill.
        """
        sampled = {chunk.sequence for chunk in step.chunks if chunk.is_sampled}
        admits = self.waiting and len(self.running) < self.config.max_num_seqs
        if admits or not sampled.issuperset(self.running):
            return None
        lasting = [s for s in self.running if s.num_output_tokens + 1 < s.request.max_tokens]
        for sequence in lasting:
            missing = self.pages_for(sequence.num_tokens + 1) - len(sequence.block_table)
            if not self.pages.extend(sequence.block_table, max(0, missing)):
                return None
        chunks = tuple(Chunk(sequence, sequence.num_tokens, 1) for sequence in lasting)
        return Step(chunks, ()) if chunks else None

    def commit(self, step: Step) -> None:
        """Mark a step's tokens as computed, and enter full pages into the prefix cache."""
        for chunk in step.chunks:
            chunk.sequence.num_computed = chunk.end
            self.prefix_cache.enter(chunk.sequence)
            if chunk.is_sampled:
                self.waiting.charge(chunk.sequence.request.client, OUTPUT_WEIGHT)

    def reserve_drafts(self, step: Step, count: int) -> dict[SequenceState, int]:
        """Return how many draft tokens, at most `count`, may follow each decoding sequence's chunk.

        They take what the step leaves of the budget and of free pages; nothing is preempted.
        """
        left = self.config.max_num_batched_tokens - sum(chunk.length for chunk in step.chunks)
        rooms = {}
        for chunk in step.chunks:
            sequence = chunk.sequence
            if not (chunk.decodes and sequence.is_draftable):
                continue
            room = self._draft_room(sequence, min(count, left, sequence.num_remaining - 1))
            if room > 0:
                rooms[sequence] = room
                left -= room
        return rooms

    def _draft_room(self, sequence: SequenceState, count: int) -> int:
        """Allocate pages for draft tokens, or return how many fit those that it has."""
        missing = self.pages_for(sequence.num_tokens + count) - len(sequence.block_table)
        if self.pages.extend(sequence.block_table, max(0, missing)):
            return count
        return len(sequence.block_table) * self.config.page_size - sequence.num_tokens

    def _release_draft_pages(self) -> None:
        for sequence in self.running:
            needed = self.pages_for(sequence.num_tokens)
            if len(sequence.block_table) > needed:
                self.pages.release(sequence.block_table, keep=needed)

    def accept_draft(self, sequence: SequenceState) -> None:
        """Mark a sequence's last token as computed: it was a draft token of the current step."""
        sequence.num_computed = sequence.num_tokens
        self.prefix_cache.enter(sequence)
        self.waiting.charge(sequence.request.client, OUTPUT_WEIGHT)

    def observe(self, step: Step, seconds: float) -> None:
        """Learn from the duration of a step that succeeded."""
        prefills = [chunk for chunk in step.chunks if chunk.length > 1]
        self._prefill_budget.observe(
            decodes=len(step.chunks) - len(prefills),
            prefill_tokens=sum(chunk.length for chunk in prefills),
            pairs=sum(chunk.pairs for chunk in prefills),
            seconds=seconds,
        )

    def _budget(self, decodes: int) -> int:
        """Return the tokens of prefill beside a step's decodes."""
        positions = [s.num_computed for s in self.running if s.num_pending > 1]
        position = sum(positions) / len(positions) if positions else 0.0
        return self._prefill_budget.tokens(decodes, position)

    def _schedule_decodes(self) -> list[Chunk]:
        chunks = []
        for sequence in tuple(self.running):
            # An older sequence may have preempted this one in the same step.
            if sequence.num_pending == 1 and sequence.block_table and self._grow(sequence):
                chunks.append(Chunk(sequence, sequence.num_computed, 1))
        return chunks

    def _grow(self, sequence: SequenceState) -> bool:
        """Allocate pages for a sequence's tokens, preempting the youngest sequences if necessary.

        False if the sequence itself was preempted.
        """
        missing = self.pages_for(sequence.num_tokens) - len(sequence.block_table)
        while not self.pages.extend(sequence.block_table, max(0, missing)):
            victim = self.running[-1]
            self._preempt(victim)
            if victim is sequence:
                return False
        return True

    def _preempt(self, victim: SequenceState) -> None:
        self.running.remove(victim)
        self.pages.release(victim.block_table)
        victim.reset_computed()
        self.waiting.resume(victim)
        self.num_preemptions += 1

    def _admit(self, budget: int) -> list[SequenceState]:
        """Start waiting sequences; return those that left the queue for the first time."""
        admitted: list[SequenceState] = []
        prefilling = [s for s in self.running if s.num_pending > 1]
        needed = sum(self._chunk_need(s) for s in prefilling)
        partial = len(prefilling)
        computing = self.prefix_cache.computing(prefilling)
        for sequence in self.waiting:
            full = partial >= _MAX_PARTIAL_PREFILLS and needed >= budget
            if full or len(self.running) == self.config.max_num_seqs:
                break
            if sequence.lead is not None and sequence.lead.continues:
                continue
            match = self.prefix_cache.match(sequence)
            sequence.lead = self.prefix_cache.lead(sequence, match, computing)
            if sequence.lead is not None:
                continue
            if not self._start(sequence, match):
                break
            computing |= self.prefix_cache.computing([sequence])
            partial += 1
            needed += self._chunk_need(sequence)
            if not sequence.num_preemptions:
                self.prefix_cache.count(sequence)
                admitted.append(sequence)
        return admitted

    def _start(self, sequence: SequenceState, match: Match) -> bool:
        """Move a sequence from waiting to running if its pages can be allocated.

        One page is left for each running sequence: filling the pool would preempt within a page of
        tokens, and waste the prefill.
        """
        missing = self.pages_for(sequence.num_tokens) - len(match.pages)
        table = self.pages.allocate(match.pages, missing, keep_free=len(self.running))
        if table is None:
            return False
        self.waiting.take(sequence)
        self.running.append(sequence)
        sequence.block_table, sequence.page_ids = table, match.ids
        sequence.num_computed = len(match.ids) * self.config.page_size
        return True

    def _schedule_prefills(self, decodes: Iterable[Chunk], budget: int) -> Iterator[Chunk]:
        decoding = {chunk.sequence for chunk in decodes}
        pending = [s for s in self.running if s not in decoding]
        needs = [self._chunk_need(s) for s in pending]
        for sequence, length in zip(pending, fair_shares(budget, needs), strict=True):
            if length:
                yield Chunk(sequence, sequence.num_computed, length)

    def _chunk_need(self, sequence: SequenceState) -> int:
        threshold = self.config.long_prefill_token_threshold
        return min(sequence.num_pending, threshold or sequence.num_pending)

    def pages_for(self, tokens: int) -> int:
        return -(-tokens // self.config.page_size)


def fair_shares(budget: int, needs: list[int]) -> list[int]:
    """Split a budget max-min fairly: small needs in full, the rest evenly.

    Of equal needs the first gets the remainder. The shares exceed neither the needs nor the budget.
    """
    shares = [0] * len(needs)
    order = sorted(range(len(needs)), key=needs.__getitem__)
    for position, index in enumerate(order):
        sharers = len(order) - position
        shares[index] = min(needs[index], -(-budget // sharers))
        budget -= shares[index]
    return shares
