"""Requests without a prompt: they load the model, or unload it."""

from collections.abc import AsyncGenerator, Sequence

from sizeup_gateway.models.selection import Selected
from sizeup_gateway.scaling.keep_alive import KeepAlive
from sizeup_wire.events import Event


async def load_or_unload(
    keep_alive: KeepAlive, selected: Selected, seconds: float | None
) -> AsyncGenerator[Sequence[Event]]:
    """Load the model for this time, or unload it for 0 seconds; yield nothing."""
    if seconds == 0:
        await keep_alive.unload(selected.model)
    else:
        await keep_alive.load(selected.model, selected.name, seconds)
    return
    yield
