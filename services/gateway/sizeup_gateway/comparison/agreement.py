"""Which models gave the same answer as the largest. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    largest: str
    """The largest model that answered."""
    same: Sequence[str]
    """The models whose answer equals its answer, itself included, ascending."""

    @property
    def smallest(self) -> str:
        return self.same[0]


def agree(answers: Mapping[str, Sequence[str]]) -> Agreement | None:
    """Compare the answers of each model, in ascending order of size; None without any.

    Of several samples the most frequent answer counts, the earliest of equally frequent ones.
    """
    chosen = {model: _most_frequent(texts) for model, texts in answers.items() if texts}
    if not chosen:
        return None
    largest = list(chosen)[-1]
    return Agreement(largest, [m for m, text in chosen.items() if text == chosen[largest]])


def _most_frequent(texts: Sequence[str]) -> str:
    return Counter(map(normalize, texts)).most_common(1)[0][0]


def normalize(text: str) -> str:
    """Return a text without what does not change an answer: case, spacing, final punctuation."""
    return " ".join(text.casefold().split()).rstrip(".!。！ ")
