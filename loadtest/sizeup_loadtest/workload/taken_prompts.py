"""Which prompts the stages of a plan use: each once. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice, zip_longest

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.workload import trace
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.prompts import PromptSource
from sizeup_loadtest.workload.trace import TracedRequest


@dataclass(frozen=True, slots=True)
class TakenPrompts:
    """Takes prompts from a source or a trace, and remembers them by key."""

    config: Config
    source: PromptSource
    traced: Sequence[TracedRequest]
    by_key: dict[str, Prompt] = field(default_factory=dict)
    _indices: dict[int | None, Iterator[int]] = field(default_factory=dict)

    def take(self, number: int, words: int | None, users: int | None = None) -> Sequence[Prompt]:
        """Take the next prompts of a length; for users of conversations at least that many turns.

        Every user has as many conversations. The order is that in which users of a closed loop who
        start together send their turns.
        """
        indices = self._indices.setdefault(words, count())
        if users is None or self.config.prompts.turns == 1:
            return self._remember([self.source(i, words) for i in islice(indices, number)])
        result: list[Prompt] = []
        while len(result) < number:
            group = [self.source.conversation(i, words) for i in islice(indices, users)]
            result += [turn for turns in zip_longest(*group) for turn in turns if turn is not None]
        return self._remember(result)

    def of_trace(self, stage: str) -> Sequence[Prompt]:
        """Take the requests of the trace; the texts of two stages differ."""
        config = self.config.load.trace
        seed = f"{stage}-{self.config.prompts.seed}"
        return self._remember([*trace.prompts(self.traced, config, seed)] if config else [])

    def _remember(self, taken: Sequence[Prompt]) -> Sequence[Prompt]:
        self.by_key.update({prompt.key: prompt for prompt in taken})
        return taken
