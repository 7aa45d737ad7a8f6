"""The requests that the mock server handled, timed by its own clock.

Times are nanoseconds of `perf_counter_ns`: on one machine comparable between processes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from sizeup_loadtest.data.record import Outcome

_KEPT = 200_000
"""Requests kept: 1,000 concurrent streams of a second each for over three minutes."""


@dataclass(slots=True)
class ServedRequest:
    """One request and its response."""

    model: str
    prompt: str
    arrived_ns: int
    begun_ns: int | None = None
    """When it got its slot; None before."""
    load_ns: int = 0
    """Time spent loading the model, after that."""
    written_ns: list[int] = field(default_factory=list)
    """Just before each chunk with text was written to the socket."""
    ended_ns: int | None = None
    """After the last byte; None before."""
    prompt_tokens: int = 0
    tokens: int = 0
    """Tokens sent."""
    first_tokens: int = 1
    """Of the first chunk."""
    outcome: Outcome = Outcome.OK
    right: bool | None = None
    disconnected: bool = False
    """The client disconnected before the end."""

    @property
    def ttft_seconds(self) -> float:
        """From arrival to the first chunk, with queueing."""
        return (self.written_ns[0] - self.arrived_ns) / 1e9

    @property
    def tpot_seconds(self) -> float:
        """Mean time of a token after those of the first chunk."""
        span = self.written_ns[-1] - self.written_ns[0]
        return span / 1e9 / (self.tokens - self.first_tokens)

    @property
    def queue_seconds(self) -> float:
        """Time in the queue."""
        return ((self.begun_ns or self.arrived_ns) - self.arrived_ns) / 1e9

    @property
    def e2e_seconds(self) -> float:
        """From arrival to the last byte."""
        return ((self.ended_ns or self.arrived_ns) - self.arrived_ns) / 1e9


class Truth:
    """All requests, oldest first."""

    def __init__(self) -> None:
        self._answers: deque[ServedRequest] = deque(maxlen=_KEPT)

    def __iter__(self) -> Iterator[ServedRequest]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)

    def add(self, served: ServedRequest) -> None:
        """Add a request on arrival."""
        self._answers.append(served)

    def of(self, prompt: str, model: str | None = None) -> ServedRequest:
        """Return the latest request with a prompt; KeyError without one."""
        for served in reversed(self._answers):
            if served.prompt == prompt and model in (None, served.model):
                return served
        raise KeyError(prompt)

    def most_at_once(self, model: str) -> int:
        """Return the maximum number of concurrent responses of a model."""
        moments: list[tuple[int, int]] = []
        for served in self._answers:
            if served.model == model and served.begun_ns is not None and served.ended_ns:
                moments += [(served.begun_ns, 1), (served.ended_ns, -1)]
        now = most = 0
        for _, step in sorted(moments):
            now += step
            most = max(most, now)
        return most

    def as_json(self) -> list[dict[str, Any]]:
        """Return all requests for another process."""
        return [asdict(served) for served in self._answers]
