"""Decide what one answer will be: texts, moments, failure. Pure and deterministic by seed."""

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
    """One request, whatever its dialect."""

    model: str
    prompt: str
    """All messages' texts, a line each."""
    max_tokens: int | None
    forced: bool
    """Exactly `max_tokens` tokens are wanted."""
    stream: bool
    usage: bool
    """Token counts are wanted in the stream."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk of an answer."""

    due_ns: int
    """Since the request got its place and the model was loaded."""
    text: str
    tokens: int
    thinking: bool


@dataclass(frozen=True, slots=True)
class Script:
    """One answer as it will be."""

    pieces: tuple[Piece, ...]
    tokens: int
    prompt_tokens: int
    finish: Literal["stop", "length"]
    failure: Outcome | None
    """A stream fails, hangs or ends halfway through its pieces."""
    right: bool | None
    """None where no right answer is known."""

    @property
    def refused(self) -> bool:
        """Tell whether the failure comes before the first byte."""
        return self.failure in _BEFORE_THE_FIRST_BYTE

    @property
    def sent(self) -> tuple[Piece, ...]:
        """Return the pieces that are sent before the failure, if there is one."""
        return self.pieces[: len(self.pieces) // 2] if self.failure else self.pieces


def write(behaviour: Behaviour, size: MockModel, asked: MockRequest, turn: int) -> Script:
    """Decide one answer; `turn` counts how often this size was asked this before."""
    texts, right = _texts(behaviour, size, asked)
    cut = asked.max_tokens is not None and len(texts) >= asked.max_tokens
    texts = texts[: asked.max_tokens] if cut else texts
    draw = Random(f"{behaviour.seed} {size.name} {turn} {asked.prompt}")
    return Script(
        pieces=_pieces(size, texts, draw),
        tokens=len(texts),
        prompt_tokens=max(1, len(asked.prompt.split())),
        finish="length" if cut else "stop",
        failure=_failure(behaviour, draw),
        right=right,
    )


def _texts(
    behaviour: Behaviour, size: MockModel, asked: MockRequest
) -> tuple[list[str], bool | None]:
    """Return the texts of an answer's tokens, joined the answer, and whether it is right.

    The coin does not depend on the size: what a smaller size knows, a larger one knows too.
    """
    expected = behaviour.answers.get(asked.prompt)
    if expected is None or asked.forced:
        count = asked.max_tokens if asked.forced and asked.max_tokens else size.tokens
        return [f"t{i} " for i in range(count)], None
    right = Random(f"{behaviour.seed} {asked.prompt}").random() < size.ability
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
