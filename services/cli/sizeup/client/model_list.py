"""`sizeup models`: the catalog, the models on this machine, and the served models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from sizeup.client.gateway_client import connect
from sizeup.errors import SizeupError, UsageError
from sizeup.models.local_models import ModelRegistry
from sizeup_wire.catalog import CatalogEntry


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    id: str
    parameters: int | None
    disk_bytes: int | None
    """None: not on this machine."""
    served: bool


async def served_names(url: str) -> tuple[str, ...] | None:
    """Return the names of the served models, or None without a gateway."""
    try:
        async with connect(url, response_seconds=5.0) as gateway:  # no inference
            return tuple(await gateway.model_names())
    except SizeupError:
        return None


def list_models(registry: ModelRegistry, served: Sequence[str]) -> list[Row]:
    """Return a row per model of the catalog, then those served under other names."""
    remaining = {name.lower(): name for name in served}
    rows = []
    for entry in registry.catalog.models.values():
        names = {entry.id.lower(), f"{entry.id}:latest".lower(), *map(str.lower, entry.names)}
        found = names & remaining.keys()
        for name in found:
            del remaining[name]
        rows.append(_row(registry, entry, served=bool(found)))
    return [*rows, *(Row(name, "", None, None, served=True) for name in remaining.values())]


def _row(registry: ModelRegistry, entry: CatalogEntry, *, served: bool) -> Row:
    try:
        disk_bytes = size_on_disk(registry.locate(entry))
    except UsageError:
        disk_bytes = None
    return Row(entry.names[0], entry.id, entry.parameters, disk_bytes, served)


def size_on_disk(folder: Path) -> int:
    """Return the size of a model's files, the blobs behind links included."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def table_of(rows: Sequence[Row]) -> Table:
    table = Table()
    for heading in ("name", "Hugging Face id"):
        table.add_column(heading, overflow="fold")
    for heading in ("parameters", "on disk", "served"):
        table.add_column(heading, justify="right")
    for row in rows:
        disk = "" if row.disk_bytes is None else f"{row.disk_bytes / 2**20:,.1f} MiB"
        served = "yes" if row.served else ""
        table.add_row(row.name, row.id, short_count(row.parameters), disk, served)
    return table


def short_count(count: int | None) -> str:
    """Format a number of parameters: 620M, 7.7B."""
    if count is None:
        return ""
    return f"{count / 1e9:.3g}B" if count >= 1e9 else f"{count / 1e6:.3g}M"
