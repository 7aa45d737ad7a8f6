"""One choice of one request: its tokens, its pages and how far it has been computed. Pure."""

import random
from collections import Counter
from dataclasses import dataclass, field

from sizeup_inference.engine.page_allocator import BlockTable
from sizeup_inference.engine.protocol import EngineRequest, Finish


@dataclass(slots=True, eq=False)
class Sequence:
    """A sequence in the engine. Mutable, and touched by the compute thread only."""

    request: EngineRequest
    choice: int
    submitted_ns: int
    token_ids: list[int] = field(init=False)
    """Prompt, then answer."""
    num_computed: int = 0
    """Leading tokens whose keys and values are in the block table's pages."""
    block_table: BlockTable = field(default_factory=list)
    answer_counts: Counter[int] = field(default_factory=Counter)
    """How often each token occurs in the answer, for presence and frequency penalties."""
    num_prompt_logprobs: int = 0
    """Prompt tokens after the first whose log-probabilities have been delivered."""
    num_preemptions: int = 0
    generator: random.Random = field(init=False)
    """Draws for this choice alone, so that neighbours and preemption never change its text."""

    def __post_init__(self) -> None:
        """Copy the prompt and seed the generator."""
        self.token_ids = list(self.request.prompt_ids)
        seed = self.request.sampling.seed
        self.generator = random.Random(None if seed is None else seed + self.choice)

    @property
    def num_tokens(self) -> int:
        """Tokens of prompt and answer so far."""
        return len(self.token_ids)

    @property
    def num_answer_tokens(self) -> int:
        """Tokens of the answer so far."""
        return len(self.token_ids) - len(self.request.prompt_ids)

    @property
    def num_pending(self) -> int:
        """Tokens that must run before the next one can be sampled; 1 while decoding."""
        return len(self.token_ids) - self.num_computed

    @property
    def max_tokens_total(self) -> int:
        """Tokens it can ever hold."""
        answer = 0 if self.request.embed else self.request.max_tokens
        return len(self.request.prompt_ids) + answer

    def append(self, token_id: int) -> Finish | None:
        """Add a sampled token and say whether, and why, the sequence ends with it."""
        self.token_ids.append(token_id)
        self.answer_counts[token_id] += 1
        if (
            token_id in self.request.stop_token_ids
            and self.num_answer_tokens > self.request.min_tokens
        ):
            return Finish.STOP
        if self.num_answer_tokens >= self.request.max_tokens:
            return Finish.LENGTH
        return None

    def forget_computed(self) -> None:
        """Start over after preemption: the answer so far becomes part of what must run again."""
        self.num_computed = 0
        self.num_preemptions += 1
