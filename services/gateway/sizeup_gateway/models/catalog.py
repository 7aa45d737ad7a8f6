"""The models of the catalog, by key and by name, and those that users have created from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from sizeup_gateway.errors import ModelNotFoundError
from sizeup_gateway.model_state import ModelState, model_state
from sizeup_gateway.models.created import CreatedModel
from sizeup_gateway.models.replica_pool import Replica, ReplicaPool
from sizeup_telemetry.places import Places
from sizeup_wire.catalog import Catalog, CatalogEntry, NameIndex
from sizeup_wire.model import ModelInfo
from sizeup_wire.names import shortest_name

_UNLIMITED = 2**31
_UNKNOWN_ROOM = 256
"""Requests for models whose places are not known: the event loop takes 0.1 s for as many."""


@dataclass(frozen=True, slots=True)
class PendingDownload:
    """A download that the rollout of a model awaits."""

    failure: str | None = None
    """Why its Job has failed."""
    has_earlier: bool = False
    """Whether the Deployment has pods, or starts them, of an earlier template."""


@dataclass(slots=True, eq=False)
class Model:
    key: str
    entry: CatalogEntry
    pool: ReplicaPool
    info: ModelInfo | None = None
    """By its files, then as a replica has loaded it; kept when that goes down."""
    desired_replicas: int | None = None
    """Scale of its Deployment; None if it has none or the scale has not been read."""
    recommended_replicas: int | None = None
    """What its load requires, within the limits of its autoscaling."""
    places: Places = field(default_factory=lambda: Places(_UNLIMITED))
    """Of requests that its replicas compute or have in their queues."""
    download: PendingDownload | None = None
    """None if its rollout awaits no download, or that is unknown."""
    removed: bool = False
    """True once it was removed from the catalog: running requests finish, new ones are rejected."""

    @property
    def listed_name(self) -> str:
        """The name in lists, always with a tag: clients add `:latest` to a name without one."""
        name = self.entry.names[0]
        return name if ":" in name else f"{name}:latest"

    def is_hub_id(self, name: str) -> bool:
        """Whether a name is its Hugging Face id rather than one of Ollama's names."""
        return "/" in self.entry.id and shortest_name(name).partition(":")[0].lower() == (
            self.entry.id.lower()
        )

    def is_served_by(self, replica: Replica) -> bool:
        """Whether a replica runs this model, not that of an earlier `id`.

        Its pods run on while the rollout awaits the download of the present one. A folder's name,
        which has no slash, says nothing.
        """
        reported = replica.model_id
        if self.entry.download is None or reported is None or "/" not in reported:
            return True
        return reported.lower() == self.entry.id.lower()

    def current_places(self) -> Places:
        """Return its places, as many as its ready replicas accept.

        Unlimited for replicas of a release that does not report it, which reject what is too much,
        and without a ready replica: the activation queue has its own limit.
        """
        per_replica = self.info.max_requests if self.info is not None else None
        self.places.capacity = (per_replica or 0) * self.pool.ready_count or _UNLIMITED
        return self.places

    def set_download(self, download: PendingDownload | None) -> None:
        changed, self.download = download != self.download, download
        if changed:
            self.pool.report_change()

    @property
    def state(self) -> ModelState:
        return model_state(
            [replica.state for replica in self.pool.replicas],
            ready=self.pool.ready_count > 0,
            scales_to_zero=self.entry.scale_to_zero is not None,
            desired_replicas=self.desired_replicas,
            download=self._required_download,
        )

    @property
    def _required_download(self) -> str | None:
        """As a replica would report it, unless an earlier revision serves until its end."""
        download, replicas = self.download, self.pool.replicas
        if download is None or (download.has_earlier and all(map(self.is_served_by, replicas))):
            return None
        return "downloading" if download.failure is None else "failed"

    @property
    def has_process(self) -> bool:
        """Whether a replica has responded to a probe, or the Deployment is scaled up."""
        responded = any(r.ready or r.state is not None for r in self.pool.replicas)
        scaled_up = self.entry.scale_to_zero is not None and bool(self.desired_replicas)
        return responded or scaled_up

    @property
    def failure(self) -> str | None:
        """Why a replica or the download failed, if one has failed and said it."""
        reported = (r.stage for r in self.pool.replicas if r.state == "failed" and r.stage)
        return next(reported, self.download.failure if self.download is not None else None)

    @property
    def progress(self) -> float | None:
        """Progress, 0 to 1, of the first replica that is in the model's state and reports it."""
        reported = (r.progress for r in self.pool.replicas if r.state == self.state)
        return next((progress for progress in reported if progress is not None), None)


class Models:
    def __init__(self, catalog: Catalog) -> None:
        """Raise ValueError if two models share a name."""
        self.by_key: Mapping[str, Model] = {}
        self.created: Mapping[str, CreatedModel] = {}
        """By the key of the name; a name of the catalog takes precedence."""
        self.catalog = Catalog(models={})
        self.apply(catalog)

    def apply(self, catalog: Catalog) -> Sequence[Model]:
        """Replace the catalog and return the removed models.

        A model in both catalogs keeps its pool. Raises ValueError, and changes nothing, if two
        models share a name.
        """
        names, previous = NameIndex(catalog), self.by_key
        self.by_key = {
            k: _updated(previous.get(k), k, entry) for k, entry in catalog.models.items()
        }
        self._names, self.catalog = names, catalog
        removed = [model for key, model in previous.items() if key not in self.by_key]
        for model in removed:
            model.removed = True
        return removed

    def room(self) -> int:
        """Return how many more requests all models together have places for."""
        places = [model.current_places() for model in self.by_key.values()]
        known = [max(0, one.capacity - one.total) for one in places if one.capacity < _UNLIMITED]
        return sum(known) + (_UNKNOWN_ROOM if len(known) < len(places) or not places else 0)

    def find(self, name: str) -> Model:
        """Return the model with a name, or raise ModelNotFoundError."""
        key = self._names.find(name)
        if key is None:
            raise ModelNotFoundError(name)
        return self.by_key[key]


def _updated(known: Model | None, key: str, entry: CatalogEntry) -> Model:
    """Create a model, or update it to its present entry in the catalog."""
    if known is None:
        return Model(key, entry, ReplicaPool(entry.replicas), entry.info)
    is_other = (known.entry.id, known.entry.revision) != (entry.id, entry.revision)
    if entry.download is None:
        known.set_download(None)
    if entry.service is None or entry.service != known.entry.service:
        known.pool.set_endpoints(entry.replicas)
    known.entry = entry
    for replica in known.pool.replicas:
        known.pool.set_ready(replica, ready=replica.ready and known.is_served_by(replica))
    if is_other and (entry.info is not None or not known.pool.ready_count):
        known.info = entry.info  # else it describes what serves until the other is downloaded
    return known


def parse_catalog(content: bytes) -> Catalog:
    """Parse a catalog; raise yaml.YAMLError or ValueError."""
    return Catalog.model_validate(yaml.safe_load(content))


def check_placement(catalog: Catalog, *, discovers: bool, scales: bool) -> None:
    """Raise ValueError if a model has a Service or a scale, and these are not supported."""
    for key, entry in catalog.models.items():
        if entry.service and not discovers:
            required = "SIZEUP_GATEWAY_DISCOVERY=kubernetes"
            raise ValueError(f"model {key!r} has a service, which requires {required}")
        if entry.scale_to_zero and not scales:
            required = "SIZEUP_GATEWAY_DISCOVERY=kubernetes or SIZEUP_GATEWAY_SCALE_SOCKET"
            raise ValueError(f"model {key!r} scales to zero, which requires {required}")
