"""Where created models are stored: one text that several gateways read and write."""

from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """The store cannot be read or written; the message says why."""


class StoreConflictError(StoreError):
    """The text has changed since it was read."""


@dataclass(frozen=True, slots=True)
class Stored:
    text: str
    """Empty if nothing has been stored yet."""
    version: str
    """A write succeeds only while it is the latest."""
    watch_version: str
    """Of what `wait` waits for a change."""


class Store(Protocol):
    """Every method raises StoreError."""

    async def read(self) -> Stored: ...

    async def write(self, text: str, version: str) -> None:
        """Replace the text; raise StoreConflictError if the version is not the latest."""

    async def wait(self, watch_version: str) -> None:
        """Wait until the text may have changed."""
