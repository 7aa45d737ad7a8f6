"""Prompts: endless built-in sets, and files.

The n-th prompt of a set depends on the set, the seed and n only. Lengths are in words, because
tokens depend on the model; reports show the server's count of prompt tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import count, islice, zip_longest
from pathlib import Path
from random import Random

from sizeup_loadtest.config.schema import Config, Prompts
from sizeup_loadtest.config.workload import LengthDistribution
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import chat, filler_text, lengths, prompt_file, trace
from sizeup_loadtest.workload.prompt import ChatMessage, Prompt
from sizeup_loadtest.workload.trace import TracedRequest

DEFAULT_WORDS = 1500
"""Of a `rag` or `text` prompt: about 2,000 tokens, a few retrieved pages."""


def source(config: Prompts) -> "PromptSource":
    """Return the configured prompts; ConfigError when their file is invalid."""
    if config.file is None:
        return PromptSource(config)
    prompts = prompt_file.read(Path(config.file))
    if config.turns > 1 and all(len(_user_messages(prompt)) < 2 for prompt in prompts):
        raise ConfigError(
            f"prompts.turns: no entry of {config.file} has more than one message of a user"
        )
    return PromptSource(config, prompts[: config.count])


@dataclass(frozen=True, slots=True)
class PromptSource:
    """An indexed sequence of prompts, and one of conversations."""

    config: Prompts
    file: Sequence[Prompt] = ()

    def __call__(self, index: int, words: int | None = None) -> Prompt:
        """Return the prompt at an index from 0; `words` is None for a set of its own length."""
        number = self._number(index)
        prompt = self.file[number] if self.file else _built_in(self.config, f"{number}", words)
        return self._with_prefix(prompt, number)

    def conversation(self, index: int, words: int | None = None) -> Sequence[Prompt]:
        """Return the turns of a conversation: the messages of its user, without answers."""
        number = self._number(index)
        if self.file:
            turns = _user_messages(self.file[number])[: self.config.turns]
        else:
            names = (f"{number}.{i}" for i in range(self.config.turns))
            turns = [_built_in(self.config, name, words) for name in names]
        turns = [self._with_prefix(turns[0], number), *turns[1:]]
        return [replace(turn, conversation=index, turn=i) for i, turn in enumerate(turns)]

    def _number(self, index: int) -> int:
        distinct = len(self.file) or self.config.count
        return index % distinct if distinct else index

    def _with_prefix(self, prompt: Prompt, number: int) -> Prompt:
        prefix = self.config.shared_prefix
        if prefix is None:
            return prompt
        text = _shared(self.config.seed, number % prefix.groups, prefix.words)
        first, *rest = prompt.messages
        if first.role == "system":
            text = f"{text}\n\n{first.content}"
        else:
            rest = [first, *rest]
        return replace(prompt, messages=(ChatMessage("system", text), *rest))


@dataclass(frozen=True, slots=True)
class TakenPrompts:
    """Takes prompts from a source or a trace, each once, and remembers them by key."""

    config: Config
    source: PromptSource
    traced: Sequence[TracedRequest]
    by_key: dict[str, Prompt] = field(default_factory=dict)
    _indices: dict[int | None, Iterator[int]] = field(default_factory=dict)

    def take(self, number: int, words: int | None, users: int | None = None) -> Sequence[Prompt]:
        """Take the next prompts of a length; for users of conversations at least that many turns.

        Every user has as many conversations. They are in the order in which the users of a closed
        loop send their turns, where all start at once.
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


@lru_cache
def _shared(seed: int, group: int, words: int) -> str:
    """Return the prefix of a group; requests in turn take one string of each."""
    return filler_text.text(Random(f"{seed}/prefix-{group}"), words)


def _user_messages(prompt: Prompt) -> list[Prompt]:
    """Split a conversation at the messages of its user; the first keeps the system prompt."""
    system = [m for m in prompt.messages if m.role == "system"]
    first, *later = (m for m in prompt.messages if m.role == "user")
    split = [(*system, first), *((message,) for message in later)]
    return [Prompt(f"{prompt.key}.{i}", messages) for i, messages in enumerate(split)]


def _built_in(config: Prompts, name: str, words: int | None) -> Prompt:
    key = f"{config.set}-{name}" if words is None else f"{config.set}-{words}-{name}"
    random = Random(f"{config.seed}/{key}")
    match config.set:
        case "chat":
            text = chat.question(random)
        case "chat-short":
            text = filler_text.question(random)
        case "chat-long":
            text = filler_text.task(random)
        case "rag":
            text = filler_text.retrieval(random, _size(config, words, random))
        case "text":
            text = filler_text.text(random, _size(config, words, random))
    return Prompt(key, (ChatMessage("user", text),))


def _size(config: Prompts, words: int | None, random: Random) -> int:
    if isinstance(config.words, LengthDistribution):
        return lengths.draw(config.words, random)
    return words or DEFAULT_WORDS
