"""Fill in the middle: a prefix and a suffix as the prompt for the text between them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from sizeup_wire.generate import InfillPrompt

_PREFIX, _SUFFIX, _MIDDLE = "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"
"""Of Qwen2.5, Qwen2.5-Coder and Qwen3."""
_ENDS = (_PREFIX, _SUFFIX, _MIDDLE, "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>")
"""Where the middle ends, beside the model's own end of sequence: Qwen2.5-Coder's stop tokens."""
_MARKERS = 3


def can_infill(added: Collection[str]) -> bool:
    """Whether the added tokens of a vocabulary are sufficient."""
    return all(token in added for token in (_PREFIX, _SUFFIX, _MIDDLE))


@dataclass(frozen=True, slots=True)
class Infill:
    """The tokens for it in one vocabulary."""

    prefix: int
    suffix: int
    middle: int
    ends: frozenset[int]
    encode_plain: Callable[[str], Sequence[int]]
    """Encodes text without added tokens, so that it cannot contain one of them."""

    @classmethod
    def of(
        cls, added: Mapping[str, int], encode_plain: Callable[[str], Sequence[int]]
    ) -> Self | None:
        """Find the tokens among the added ones; None for a vocabulary without them."""
        if not can_infill(added):
            return None
        ends = frozenset(added[name] for name in _ENDS if name in added)
        return cls(added[_PREFIX], added[_SUFFIX], added[_MIDDLE], ends, encode_plain)

    def encode(self, prompt: InfillPrompt, limit: int | None = None) -> tuple[int, ...]:
        """Encode a prompt; to fit `limit` tokens, what is far from the gap is left out."""
        before, after = self.encode_plain(prompt.prefix), self.encode_plain(prompt.suffix)
        if limit is not None:
            before, after = _nearest(before, after, max(limit - _MARKERS, 0))
        return (self.prefix, *before, self.suffix, *after, self.middle)


def _nearest(
    before: Sequence[int], after: Sequence[int], limit: int
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the tokens next to the gap: half of each side, more where the other has fewer."""
    of_after = min(len(after), max(limit // 2, limit - len(before)))
    of_before = min(len(before), limit - of_after)
    return before[len(before) - of_before :], after[:of_after]
