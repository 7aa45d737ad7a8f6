"""Configuration of the mock server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sizeup_loadtest.data.record import Outcome

FAILURES = frozenset(Outcome) - {Outcome.OK, Outcome.CLIENT}

Kind = Literal["sizeup", "ollama", "vllm", "openai"]
"""What the server is like: its routes, the owner of its models, and parameters that it refuses."""
REFUSED: Mapping[Kind, frozenset[str]] = {
    "openai": frozenset({"max_tokens", "ignore_eos", "min_tokens", "temperature"})
}
"""As OpenAI's own reasoning models do, each with a 400 that names the parameter."""


@dataclass(frozen=True, slots=True)
class MockModel:
    """One model of the server."""

    name: str
    ttft_seconds: float = 0.2
    """From the start of a request in its slot to the first token."""
    gap_seconds: float = 0.02
    """Between tokens."""
    jitter: float = 0.0
    """Gaps are uniform in gap * (1 - jitter) .. gap * (1 + jitter)."""
    parallel: int = 4
    """Slots: requests served concurrently; others queue in order."""
    tokens: int = 32
    """Output length until EOS."""
    tokens_per_chunk: int = 1
    thinking: int = 0
    """Number of leading tokens that are thinking."""
    load_seconds: float = 0.0
    """Model load time, before the first response."""
    ability: float = 1.0
    """Fraction of known questions that are answered correctly."""
    parameters: int = 500_000_000
    layers: int = 24

    def __post_init__(self) -> None:
        seconds = (self.ttft_seconds, self.gap_seconds, self.load_seconds)
        if min(seconds) < 0 or not 0 <= self.jitter <= 1 or not 0 <= self.ability <= 1:
            raise ValueError(f"{self.name}: times are at least 0, jitter and ability 0 to 1")
        if min(self.parallel, self.tokens, self.tokens_per_chunk) < 1 or self.thinking < 0:
            raise ValueError(f"{self.name}: parallel, tokens and tokens per chunk are at least 1")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The server."""

    sizes: tuple[MockModel, ...] = (MockModel("mock:1b"),)
    seed: int = 7
    failures: Mapping[Outcome, float] = field(default_factory=dict)
    """Outcome -> fraction of requests."""
    role_early: bool = False
    """Send a chunk without text on arrival of a request, as some servers do."""
    comments: bool = False
    """Send a comment before every event (SSE only)."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """Prompt -> correct answer; see `MockModel.ability`."""
    prefix_cache: bool = False
    """Report the longest common prefix with an earlier prompt as cached (OpenAI only)."""
    metrics: bool = False
    """Serve vLLM's metrics at /metrics; the KV cache is in use as the slots are."""
    kind: Kind = "sizeup"
    max_waiting: int = 10_000
    """Queue length per model; more requests get 429."""
    retry_after: str = ""
    """Retry-After of 429 and 503; empty: no such header."""
    usage: Literal["wanted", "never", "continuous"] = "wanted"
    """Token counts of OpenAI's API: where a request wants them, in no stream, or in every chunk."""
    think_tags: bool = False
    """Send thinking as content between <think> and </think> (OpenAI's API)."""

    def __post_init__(self) -> None:
        if not self.sizes or len({size.name for size in self.sizes}) < len(self.sizes):
            raise ValueError("at least one model, all with distinct names")
        if unknown := set(self.failures) - FAILURES:
            raise ValueError(f"not a failure: {', '.join(sorted(unknown))}")
        if min(self.failures.values(), default=0) < 0 or sum(self.failures.values()) > 1 + 1e-9:
            raise ValueError("shares of failures are at least 0 and at most 1 together")

    def size(self, name: str) -> MockModel | None:
        """Return the model of a name."""
        return next((size for size in self.sizes if size.name == name), None)
