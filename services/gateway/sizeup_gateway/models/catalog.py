"""Public names -> models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from sizeup_gateway.errors import ModelNotFoundError
from sizeup_gateway.model_state import ModelState, model_state
from sizeup_gateway.models.replica_pool import Pool
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
    desired: int | None = None
    """Replicas its Deployment is scaled to; None where it has none, or nobody has looked."""
    removed: bool = False
    """True once the catalogue has it no more: what was begun is finished, nothing is begun."""

    @property
    def listed_name(self) -> str:
        """Return the name for lists: always with a tag, since clients add `:latest` without one."""
        name = self.entry.names[0]
        return name if ":" in name else f"{name}:latest"

    @property
    def state(self) -> ModelState:
        """Return how far it is from answering."""
        return model_state(
            [replica.state for replica in self.pool.replicas],
            ready=self.pool.ready_count > 0,
            scales_to_zero=self.entry.scale_to_zero is not None,
            desired=self.desired,
        )

    @property
    def is_present(self) -> bool:
        """Tell whether it has a process that has said something, or will have one soon."""
        spoken = any(r.ready or r.state is not None for r in self.pool.replicas)
        return spoken or (self.entry.scale_to_zero is not None and bool(self.desired))

    @property
    def progress(self) -> float | None:
        """Return how far the first replica in the model's own state has come, when it says so."""
        said = (r.progress for r in self.pool.replicas if r.state == self.state)
        return next((progress for progress in said if progress is not None), None)

    def can(self, capability: str) -> bool:
        """Tell whether the model has a capability; False while nothing is known of it."""
        return self.info is not None and capability in self.info.capabilities


class Models:
    """Every model of the catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        """Raise ValueError when two models claim one name."""
        self.by_key: Mapping[str, Model] = {}
        self.catalog = Catalog(models={})
        self.apply(catalog)

    def apply(self, catalog: Catalog) -> Sequence[Model]:
        """Take another catalogue and return the models that are gone.

        What both have keeps its pool. Raises ValueError, and changes nothing, when two models
        claim one name.
        """
        names, before = NameIndex(catalog), self.by_key
        self.by_key = {k: _made(before.get(k), k, entry) for k, entry in catalog.models.items()}
        self._names, self.catalog = names, catalog
        gone = [model for key, model in before.items() if key not in self.by_key]
        for model in gone:
            model.removed = True
        return gone

    def find(self, name: str) -> Model:
        """Return the model that answers to a name, or raise ModelNotFoundError."""
        key = self._names.find(name)
        if key is None:
            raise ModelNotFoundError(name)
        return self.by_key[key]


def _made(known: Model | None, key: str, entry: CatalogEntry) -> Model:
    """Make a model, or turn one into what the catalogue says of it now."""
    if known is None:
        return Model(key, entry, Pool(entry.replicas))
    if (known.entry.id, known.entry.revision) != (entry.id, entry.revision):
        known.info = None
    if entry.service is None or entry.service != known.entry.service:
        known.pool.set_endpoints(entry.replicas)
    known.entry = entry
    return known


def load_catalog(path: Path) -> Catalog:
    """Read a catalogue file; raise OSError, yaml.YAMLError or ValueError with what is wrong."""
    return parse_catalog(path.read_bytes())


def parse_catalog(content: bytes) -> Catalog:
    """Read the text of a catalogue; raise yaml.YAMLError or ValueError with what is wrong."""
    return Catalog.model_validate(yaml.safe_load(content))


def check_places(catalog: Catalog, *, services: bool) -> None:
    """Raise ValueError when a model is in a Service and nobody looks there."""
    lost = [key for key, entry in catalog.models.items() if entry.service and not services]
    if lost:
        needed = "SIZEUP_GATEWAY_DISCOVERY=kubernetes"
        raise ValueError(f"model {lost[0]!r} has a service, which needs {needed}")
