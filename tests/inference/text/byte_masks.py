"""Constraints over a vocabulary of bytes, as sets of tokens."""

from sizeup_inference.engine.protocol import Constraint, ConstraintState
from sizeup_inference.fake.model import IM_END, VOCAB_SIZE


def allowed(state: ConstraintState) -> set[int]:
    words = state.mask()
    return {i for i in range(VOCAB_SIZE) if words[i // 32] >> i % 32 & 1}


def begins(constraint: Constraint, text: str) -> bool:
    """Whether an output may begin with a text."""
    return _allows(constraint, [*text.encode()])


def accepts(constraint: Constraint, text: str) -> bool:
    """Whether a text may be the whole output."""
    return _allows(constraint, [*text.encode(), IM_END])


def _allows(constraint: Constraint, token_ids: list[int]) -> bool:
    state = constraint.start()
    for token_id in token_ids:
        if token_id not in allowed(state):
            return False
        state.accept(token_id)
    return True
