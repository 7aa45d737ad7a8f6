"""What a server of known truth did, by its own clock.

Times are nanoseconds of `perf_counter_ns`: on one machine comparable between processes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from sizeup_loadtest.data.record import Outcome

_KEPT = 200_000
"""Answers remembered: 1,000 concurrent streams of a second each for over three minutes."""


@dataclass(slots=True)
class ServedRequest:
    """One request and what became of it."""

    model: str
    prompt: str
    arrived_ns: int
    begun_ns: int | None = None
    """When it got its place; None before."""
    load_ns: int = 0
    """Of that, spent loading the model."""
    written_ns: list[int] = field(default_factory=list)
    """Just before each chunk was handed to the socket; without chunks that carry no text."""
    ended_ns: int | None = None
    """After the last byte; None while under way."""
    prompt_tokens: int = 0
    tokens: int = 0
    """Sent, of all chunks."""
    outcome: Outcome = Outcome.OK
    right: bool | None = None
    left: bool = False
    """The client went away before the end."""

    @property
    def ttft_seconds(self) -> float:
        """Return arrival to first chunk, the queue included."""
        return (self.written_ns[0] - self.arrived_ns) / 1e9

    @property
    def tpot_seconds(self) -> float:
        """Return the mean gap between tokens after the first."""
        return (self.written_ns[-1] - self.written_ns[0]) / 1e9 / (self.tokens - 1)

    @property
    def queue_seconds(self) -> float:
        """Return how long it waited for its place."""
        return ((self.begun_ns or self.arrived_ns) - self.arrived_ns) / 1e9

    @property
    def e2e_seconds(self) -> float:
        """Return arrival to last byte."""
        return ((self.ended_ns or self.arrived_ns) - self.arrived_ns) / 1e9


class Truth:
    """Everything a server did, oldest first."""

    def __init__(self) -> None:
        self._answers: deque[ServedRequest] = deque(maxlen=_KEPT)

    def __iter__(self) -> Iterator[ServedRequest]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, answer: ServedRequest) -> None:
        """Remember one from its arrival on."""
        self._answers.append(answer)

    def of(self, prompt: str, model: str | None = None) -> ServedRequest:
        """Return the latest answer to a prompt; KeyError where there is none."""
        for answer in reversed(self._answers):
            if answer.prompt == prompt and model in (None, answer.model):
                return answer
        raise KeyError(prompt)

    def most_at_once(self, model: str) -> int:
        """Return how many answers of a model were under way at one time, at most."""
        moments: list[tuple[int, int]] = []
        for answer in self._answers:
            if answer.model == model and answer.begun_ns is not None and answer.ended_ns:
                moments += [(answer.begun_ns, 1), (answer.ended_ns, -1)]
        now = most = 0
        for _, step in sorted(moments):
            now += step
            most = max(most, now)
        return most

    def as_json(self) -> list[dict[str, Any]]:
        """Return everything for another process."""
        return [asdict(answer) for answer in self._answers]
