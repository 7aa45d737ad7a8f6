"""What a server of known truth is told to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sizeup_loadtest.data.record import Outcome

FAILURES = frozenset(Outcome) - {Outcome.OK}


@dataclass(frozen=True, slots=True)
class MockModel:
    """One model of the server."""

    name: str
    ttft_seconds: float = 0.2
    """From when a request gets its place to its first token."""
    gap_seconds: float = 0.02
    """Between tokens."""
    jitter: float = 0.0
    """Each gap is drawn evenly from gap * (1 - jitter) .. gap * (1 + jitter)."""
    parallel: int = 4
    """Requests answered at one time; later ones wait in order."""
    tokens: int = 32
    """Length of an answer that is not forced."""
    tokens_per_chunk: int = 1
    thinking: int = 0
    """How many of the tokens, from the first on, are thinking."""
    load_seconds: float = 0.0
    """Before the first answer."""
    ability: float = 1.0
    """Share of the questions with a known answer that get it."""
    parameters: int = 500_000_000
    layers: int = 24

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        seconds = (self.ttft_seconds, self.gap_seconds, self.load_seconds)
        if min(seconds) < 0 or not 0 <= self.jitter <= 1 or not 0 <= self.ability <= 1:
            raise ValueError(f"{self.name}: times are at least 0, jitter and ability 0 to 1")
        if min(self.parallel, self.tokens, self.tokens_per_chunk) < 1 or self.thinking < 0:
            raise ValueError(f"{self.name}: parallel, tokens and tokens per chunk are at least 1")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The whole server."""

    sizes: tuple[MockModel, ...] = (MockModel("mock:1b"),)
    seed: int = 7
    failures: Mapping[Outcome, float] = field(default_factory=dict)
    """Kind -> share of the requests it befalls."""
    role_early: bool = False
    """Send a chunk without text as soon as a request has arrived, as some servers do."""
    comments: bool = False
    """Send a comment before every event (SSE only)."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """Prompt -> its right answer; see `Size.ability`."""
    max_waiting: int = 10_000
    """Of one size; one more is refused with 429."""

    def __post_init__(self) -> None:
        """Refuse failures that do not exist and shares that do not add up."""
        if not self.sizes or len({size.name for size in self.sizes}) < len(self.sizes):
            raise ValueError("at least one size, each with a name of its own")
        if unknown := set(self.failures) - FAILURES:
            raise ValueError(f"not a failure: {', '.join(sorted(unknown))}")
        if min(self.failures.values(), default=0) < 0 or sum(self.failures.values()) > 1 + 1e-9:
            raise ValueError("shares of failures are at least 0 and at most 1 together")

    def size(self, name: str) -> MockModel | None:
        """Return the size of a name."""
        return next((size for size in self.sizes if size.name == name), None)
