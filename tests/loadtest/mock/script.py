"""The script of a response: texts, timing, failure. Pure and deterministic by seed."""

from dataclasses import dataclass
from random import Random
from typing import Literal

from loadtest.mock.behaviour import Behaviour, MockModel
from sizeup_loadtest.data.record import Outcome

WRONG = "I do not know."
_NS = 1_000_000_000
_BEFORE_THE_FIRST_BYTE = frozenset(
    {Outcome.BUSY, Outcome.REFUSED, Outcome.UNAVAILABLE, Outcome.DISCONNECTED}
)


@dataclass(frozen=True, slots=True)
class MockRequest:
    """One request, independent of its API."""

    model: str
    prompt: str
    """Texts of all messages, one line each."""
    max_tokens: int | None
    forced: bool
    """Fixed length: exactly `max_tokens` tokens."""
    stream: bool
    usage: bool
    """Include token counts in the stream."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk of a response."""

    due_ns: int
    """Since the request got its slot and the model was loaded."""
    text: str
    tokens: int
    thinking: bool


@dataclass(frozen=True, slots=True)
class Script:
    """A response."""

    pieces: tuple[Piece, ...]
    tokens: int
    prompt_tokens: int
    finish: Literal["stop", "length"]
    failure: Outcome | None
    """A stream fails, hangs or ends halfway."""
    right: bool | None
    """None where no correct answer is known."""

    cached_tokens: int | None = None
    """Of the prompt; None without a prefix cache."""

    @property
    def refused(self) -> bool:
        """Whether the failure is before the first byte."""
        return self.failure in _BEFORE_THE_FIRST_BYTE

    @property
    def sent(self) -> tuple[Piece, ...]:
        """The chunks that are sent before the failure, if any."""
        return self.pieces[: len(self.pieces) // 2] if self.failure else self.pieces


def write(behaviour: Behaviour, size: MockModel, wanted: MockRequest, turn: int) -> Script:
    """Return a response; `turn` counts earlier requests with the same prompt."""
    texts, right = _texts(behaviour, size, wanted)
    cut = wanted.max_tokens is not None and len(texts) >= wanted.max_tokens
    texts = texts[: wanted.max_tokens] if cut else texts
    draw = Random(f"{behaviour.seed} {size.name} {turn} {wanted.prompt}")
    return Script(
        pieces=_pieces(size, texts, draw),
        tokens=len(texts),
        prompt_tokens=max(1, len(wanted.prompt.split())),
        finish="length" if cut else "stop",
        failure=_failure(behaviour, draw),
        right=right,
    )


def _texts(
    behaviour: Behaviour, size: MockModel, wanted: MockRequest
) -> tuple[list[str], bool | None]:
    """Return the tokens of an output, and whether it is correct.

    The random number does not depend on the model: a larger one is correct wherever a smaller is.
    """
    expected = behaviour.answers.get(wanted.prompt)
    if expected is None or wanted.forced:
        count = wanted.max_tokens if wanted.forced and wanted.max_tokens else size.tokens
        return [f"t{i} " for i in range(count)], None
    right = Random(f"{behaviour.seed} {wanted.prompt}").random() < size.ability
    words = (expected if right else WRONG).split(" ")
    return [*(f"{word} " for word in words[:-1]), words[-1]], right


def _pieces(size: MockModel, texts: list[str], draw: Random) -> tuple[Piece, ...]:
    pieces, due = [], size.ttft_seconds
    for at in range(0, len(texts), size.tokens_per_chunk):
        some = texts[at : at + size.tokens_per_chunk]
        pieces.append(Piece(round(due * _NS), "".join(some), len(some), at < size.thinking))
        spread = draw.uniform(1 - size.jitter, 1 + size.jitter)
        due += size.gap_seconds * size.tokens_per_chunk * spread
    return tuple(pieces)


def _failure(behaviour: Behaviour, draw: Random) -> Outcome | None:
    coin = draw.random()
    for kind, share in sorted(behaviour.failures.items()):
        if coin < share:
            return kind
        coin -= share
    return None
