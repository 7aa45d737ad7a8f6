"""Ways of computing a step that are faster than the plain one. Standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FastPath:
    """Whether a fast path computes the steps of a loaded model; results are the same without."""

    name: str
    enabled: bool
    reason: str = ""
    """Why it is not enabled."""
