"""Which prompts the stages of a plan use: each once. Pure."""

from collections.abc import Iterator, Sequence
from itertools import count, islice, zip_longest

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.workload import TraceConfig
from sizeup_loadtest.workload import trace
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.prompts import PromptSource
from sizeup_loadtest.workload.trace import TracedRequest


class TakenPrompts:
    """Takes prompts from a source or a trace, and remembers them by key."""

    def __init__(
        self, config: Config, source: PromptSource, traced: Sequence[TracedRequest]
    ) -> None:
        self.by_key: dict[str, Prompt] = {}
        self._config = config
        self._source = source
        self._traced = traced
        self._indices: dict[int | None, Iterator[int]] = {}

    def take(self, number: int, words: int | None) -> Sequence[Prompt]:
        """Take the next prompts of a length."""
        return self._remember([self._source(i, words) for i in islice(self._next(words), number)])

    def conversations(self, number: int, words: int | None, users: int) -> Sequence[Prompt]:
        """Take conversations with at least a number of turns, as many for every user.

        The order is that in which users of a closed loop who start together send them.
        """
        result: list[Prompt] = []
        while len(result) < number:
            group = [self._source.conversation(i, words) for i in islice(self._next(words), users)]
            result += [turn for turns in zip_longest(*group) for turn in turns if turn is not None]
        return self._remember(result)

    def of_trace(self, config: TraceConfig, stage: str) -> Sequence[Prompt]:
        """Take the requests of the trace; the texts of two stages differ."""
        seed = f"{stage}-{self._config.prompts.seed}"
        return self._remember([*trace.prompts(self._traced, config, seed)])

    def _next(self, words: int | None) -> Iterator[int]:
        return self._indices.setdefault(words, count())

    def _remember(self, taken: Sequence[Prompt]) -> Sequence[Prompt]:
        self.by_key |= {prompt.key: prompt for prompt in taken}
        return taken
