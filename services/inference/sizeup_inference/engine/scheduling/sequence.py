"""The state of one choice of a request: tokens, block table, computed length. Pure."""

import random
from array import array
from collections import Counter, deque
from dataclasses import dataclass, field

from sizeup_inference.engine.protocol import ConstraintState, EngineRequest, Finish, Pooling
from sizeup_inference.engine.scheduling.page_allocator import BlockTable


@dataclass(slots=True, eq=False)
class SequenceState:
    """A sequence in the engine. Mutable; used by the compute thread only."""

    request: EngineRequest
    choice: int
    token_ids: list[int] = field(init=False)
    """Prompt, then output."""
    num_computed: int = 0
    """Leading tokens whose keys and values are in the pages of the block table."""
    block_table: BlockTable = field(default_factory=list)
    num_drafted: int = 0
    """Leading tokens whose keys and values of the draft model are in these pages too."""
    is_draftable: bool = field(init=False)
    """Whether a draft model may propose its next tokens. A constraint has no mask for them yet."""
    page_ids: list[int] = field(default_factory=list)
    """Of the full pages in the prefix cache, the ids of their contents."""
    lead: "Lead | None" = None
    """While waiting: the prefill that this sequence follows."""
    output_counts: Counter[int] = field(default_factory=Counter)
    """Occurrences of each token in the output, for presence and frequency penalties."""
    num_prompt_logprobs: int = 0
    """Prompt tokens after the first whose log-probabilities have been delivered."""
    num_preemptions: int = 0
    constraint: ConstraintState | None = field(init=False)
    """Of its output so far; a preemption keeps it, like the output."""
    generator: "Uniforms" = field(init=False)
    """Private to this choice, so that neither the batch nor a preemption changes its output."""

    _distinct: set[int] = field(default_factory=set)
    """Of the first _num_distinct tokens, like _distinct_ids."""
    _distinct_ids: "array[int]" = field(default_factory=lambda: array("i"))
    _num_distinct: int = 0

    def __post_init__(self) -> None:
        self.token_ids = list(self.request.prompt_ids)
        constraint = self.request.constraint
        self.constraint = None if constraint is None else constraint.start()
        self.is_draftable = constraint is None and self.request.embed is None
        seed = self.request.sampling.seed
        self.generator = Uniforms(None if seed is None else seed + self.choice)

    @property
    def num_tokens(self) -> int:
        return len(self.token_ids)

    @property
    def num_output_tokens(self) -> int:
        return len(self.token_ids) - len(self.request.prompt_ids)

    @property
    def num_remaining(self) -> int:
        """Tokens of the output that are left to sample, if nothing else ends it."""
        return self.request.max_tokens - self.num_output_tokens

    @property
    def num_pending(self) -> int:
        """Tokens to compute before the next one can be sampled; 1 while decoding."""
        return len(self.token_ids) - self.num_computed

    @property
    def needs_every_position(self) -> bool:
        """Whether cached pages are useless: hidden states or logits of their tokens are needed."""
        if self.request.embed is not None:
            return self.request.embed is not Pooling.LAST
        return self.request.prompt_logprobs is not None and self.choice == 0

    def distinct_ids(self) -> "array[int]":
        """Return each token of prompt and output once, as int32, for the repetition penalty."""
        added = set(self.token_ids[self._num_distinct :]) - self._distinct
        self._distinct |= added
        self._distinct_ids.extend(added)
        self._num_distinct = len(self.token_ids)
        return self._distinct_ids

    def append(self, token_id: int) -> Finish | None:
        """Add a sampled token; return why the sequence ends with it, or None if it continues."""
        self.token_ids.append(token_id)
        if self.constraint is not None:
            self.constraint.accept(token_id)
        self.output_counts[token_id] += 1
        if (
            token_id in self.request.stop_token_ids
            and self.num_output_tokens > self.request.min_tokens
        ):
            return Finish.STOP
        if self.num_output_tokens >= self.request.max_tokens:
            return Finish.LENGTH
        return None

    def reset_computed(self) -> None:
        """Preempt: prompt and output so far have to be computed again."""
        self.num_computed = self.num_drafted = 0
        self.page_ids.clear()
        self.num_preemptions += 1


@dataclass(frozen=True, slots=True)
class Lead:
    """A running sequence that is computing pages which another, waiting one needs too."""

    sequence: SequenceState
    num_tokens: int
    """Length of the common prefix, in whole pages."""

    @property
    def continues(self) -> bool:
        """Whether more of the common prefix is to come; a sequence without pages is not running."""
        return bool(self.sequence.block_table) and self.sequence.num_computed < self.num_tokens


class Uniforms:
    """Numbers in [0, 1), one for each sampled token; those ahead can be read before their turn."""

    def __init__(self, seed: int | None) -> None:
        """None seeds at random."""
        self._random = random.Random(seed)
        self._ahead: deque[float] = deque()

    def random(self) -> float:
        return self._ahead.popleft() if self._ahead else self._random.random()

    def peek(self, ahead: int) -> float:
        """Return the number that is taken after `ahead` others, and leave it."""
        while len(self._ahead) <= ahead:
            self._ahead.append(self._random.random())
        return self._ahead[ahead]
