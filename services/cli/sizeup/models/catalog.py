"""Read the catalog: the models that ship with sizeup, and those of the user."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import yaml
from pydantic import ValidationError

from sizeup.errors import UsageError
from sizeup.settings import Settings
from sizeup_wire.catalog import Catalog, CatalogEntry, NameIndex

Models = Mapping[str, CatalogEntry]


def load_catalog(settings: Settings, extra: Path | None = None) -> Catalog:
    """Return the merged catalog; each source overrides those before it.

    The sources are qwen.yaml, the user's models.yaml, SIZEUP_CATALOG, and `extra`.
    Raises UsageError for an invalid file.
    """
    models: Models = shipped().models
    user_catalog = settings.user_catalog if settings.user_catalog.is_file() else None
    for path in (user_catalog, settings.catalog, extra):
        if path is not None:
            models = merge(models, read_catalog(path).models)
    return Catalog(models=models)


def shipped() -> Catalog:
    text = resources.files("sizeup.models").joinpath("qwen.yaml").read_text(encoding="utf-8")
    return Catalog.model_validate(yaml.safe_load(text))


def read_catalog(path: Path) -> Catalog:
    """Read a catalog file, or raise UsageError naming it."""
    try:
        catalog = Catalog.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        NameIndex(catalog)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {where}: {first['msg']}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    return catalog


def merge(below: Models, above: Models) -> dict[str, CatalogEntry]:
    """Merge two catalogs: names, keys and ids of `above` are removed from `below`."""
    taken = {name.lower() for key, entry in above.items() for name in (key, entry.id, *entry.names)}
    kept: dict[str, CatalogEntry] = {}
    for key, entry in below.items():
        names = tuple(name for name in entry.names if name.lower() not in taken)
        if names and not {key.lower(), entry.id.lower()} & taken:
            kept[key] = entry.model_copy(update={"names": names})
    return kept | dict(above)
