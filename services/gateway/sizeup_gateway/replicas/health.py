"""Readiness of one replica."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """What /readyz of a replica reports."""

    ready: bool
    state: str | None = None
    progress: float | None = None
    stage: str | None = None
    """What is in progress, or why it failed."""


def health_of(status: int, body: bytes) -> Health:
    """Parse the response of /readyz; an unknown body leaves state and progress unknown."""
    try:
        fields = json.loads(body)
        state, progress, stage = (fields.get(key) for key in ("state", "progress", "stage"))
    except (ValueError, AttributeError):
        state = progress = stage = None
    return Health(
        ready=status == 200,
        state=state if isinstance(state, str) else None,
        progress=float(progress) if isinstance(progress, int | float) else None,
        stage=stage if isinstance(stage, str) else None,
    )
