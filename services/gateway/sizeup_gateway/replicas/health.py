"""Readiness of one replica."""

from pydantic import BaseModel


class Health(BaseModel):
    """What /readyz of a replica reports."""

    ready: bool = False
    state: str | None = None
    progress: float | None = None
    stage: str | None = None
    """What is in progress, or why it failed."""


def health_of(status: int, body: bytes) -> Health:
    """Parse the response of /readyz; an unknown body leaves state and progress unknown."""
    try:
        health = Health.model_validate_json(body)
    except ValueError:
        health = Health()
    return health.model_copy(update={"ready": status == 200})
