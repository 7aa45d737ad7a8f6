"""Public names -> models."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from sizeup_gateway.errors import ModelNotFoundError
from sizeup_gateway.pool import Pool
from sizeup_wire.catalog import Catalog, CatalogEntry, NameIndex
from sizeup_wire.model import ModelInfo


@dataclass(slots=True, eq=False)
class Model:
    """One model of the catalogue, and what is known of it now."""

    key: str
    entry: CatalogEntry
    pool: Pool
    info: ModelInfo | None = None
    """What a replica said of itself; None until one was ready, kept when it goes down."""

    @property
    def listed_name(self) -> str:
        """Return the name for lists: always with a tag, since clients add `:latest` without one."""
        name = self.entry.names[0]
        return name if ":" in name else f"{name}:latest"

    def can(self, capability: str) -> bool:
        """Tell whether the model has a capability; False while nothing is known of it."""
        return self.info is not None and capability in self.info.capabilities


class Models:
    """Every model of the catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        """Raise ValueError when two models claim one name."""
        self._names = NameIndex(catalog)
        self.by_key: Mapping[str, Model] = {
            key: Model(key, entry, Pool(entry.replicas)) for key, entry in catalog.models.items()
        }

    def find(self, name: str) -> Model:
        """Return the model that answers to a name, or raise ModelNotFoundError."""
        key = self._names.find(name)
        if key is None:
            raise ModelNotFoundError(name)
        return self.by_key[key]


def load_catalog(path: Path) -> Catalog:
    """Read a catalogue file; raise OSError, yaml.YAMLError or ValueError with what is wrong."""
    return Catalog.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
