"""Resolve a name, a Hugging Face id or a path to a model on this machine."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sizeup.errors import UsageError
from sizeup.settings import Settings
from sizeup_store.weights import CONFIG, WeightsError, find_model, is_hub_id
from sizeup_wire.catalog import Catalog, CatalogEntry, NameIndex
from sizeup_wire.names import shortest_name

DEFAULT_MODELS = ("toy:0.5m", "toy:2m", "toy:5m")
"""What `up` serves by default: the toy models of the source tree."""

_CHECKOUT = Path(__file__).resolve().parents[4]
"""Of an editable installation; any other has no models/toy there."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    key: str
    entry: CatalogEntry
    model: str
    """The MODEL of inference: a folder, or an id in the Hugging Face cache."""
    folder: Path
    draft: "LocalModel | None" = None
    """The model that drafts tokens for this one."""


class ModelRegistry:
    """Find models by path, by catalog name, by Hugging Face id."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        """Raise UsageError when two models of the catalog share a name."""
        self.catalog = catalog
        self._settings = settings
        try:
            self._index = NameIndex(catalog)
        except ValueError as error:
            raise UsageError(str(error)) from error

    def resolve(self, name: str) -> tuple[str, CatalogEntry]:
        """Return key and entry of a catalog name or of any Hugging Face id."""
        key = self._index.find(name)
        if key is not None:
            return key, self.catalog.models[key]
        name = shortest_name(name).removesuffix(":latest")
        if not is_hub_id(name):
            raise UsageError(f"model {name!r} not found; `sizeup models --all` lists the names")
        return key_of(name), CatalogEntry(id=name, names=(f"{name}:latest",))

    def locate(self, entry: CatalogEntry) -> Path:
        """Return the folder of a model on this machine, or raise UsageError."""
        if "/" not in entry.id:
            return self._toy(entry.id)
        try:
            return find_model(entry.id, entry.revision, self._settings.hub_cache)
        except WeightsError as error:
            raise UsageError(str(error)) from error

    def find(self, text: str) -> LocalModel:
        """Return the model of a path, a name or an id, or raise UsageError."""
        try:
            folder = Path(text).expanduser()
            is_model, is_folder = (folder / CONFIG).is_file(), folder.is_dir()
        except (OSError, RuntimeError) as error:  # not readable, too long, ~ of an unknown user
            raise UsageError(f"not a model: {error}") from error
        if is_model:
            return _from_folder(folder.resolve())
        if is_folder or text.startswith((".", "/", "~")):
            raise UsageError(f"{text}: not a Hugging Face model folder ({CONFIG} is missing)")
        key, entry = self.resolve(text)
        folder = self.locate(entry)
        model = entry.id if "/" in entry.id else str(folder)
        return LocalModel(key, entry, model, folder, self._find_draft(key, entry))

    def _find_draft(self, key: str, entry: CatalogEntry) -> LocalModel | None:
        if entry.draft is None:
            return None
        try:
            draft_key, draft = self.resolve(entry.draft)
            folder = self.locate(draft)
        except UsageError as error:
            raise UsageError(f"draft of {key}: {error}") from error
        if draft_key == key:
            raise UsageError(f"draft of {key}: a model cannot draft for itself")
        return LocalModel(draft_key, draft, draft.id if "/" in draft.id else str(folder), folder)

    def _toy(self, name: str) -> Path:
        toy_dir = self._settings.toy_dir
        parents = (
            (toy_dir,) if toy_dir else (Path.cwd() / "models" / "toy", _CHECKOUT / "models/toy")
        )
        for parent in parents:
            if (parent / name / CONFIG).is_file():
                return (parent / name).resolve()
        raise UsageError(
            f"{name} is not in {parents[0]}; run sizeup in its source tree or set SIZEUP_TOY_DIR"
        )


def split_names(texts: Iterable[str]) -> Iterator[str]:
    """Split `a,b`, but not an existing path with a comma."""
    for text in texts:
        if _is_path(text):
            yield text
        else:
            yield from filter(None, (part.strip() for part in text.split(",")))


def _is_path(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # a list may exceed the maximum path length
        return False


def key_of(text: str) -> str:
    """Return the key for logs and metrics of an id or a folder name."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "model"


def _from_folder(folder: Path) -> LocalModel:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.name).strip("-.")[:80] or "model"
    entry = CatalogEntry(id=name, names=(f"{name}:latest",))
    return LocalModel(key_of(name), entry, str(folder), folder)
