"""Check weights that `sizeup pull` does not bring: a folder, or a cache that another tool fills.

Contents are not read here: the engine verifies checksums while it loads the weights.
"""

from collections.abc import Iterable
from pathlib import Path

from sizeup_store.weights import (
    CONFIG,
    ModelNotFoundError,
    WeightsError,
    check_structure,
    find_model,
    is_hub_id,
    model_ids,
    repository_folder,
    weight_names,
)

_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""Each is enough."""
_LISTED = 10
"""Names in a message."""


def check_stored(model: str, revision: str | None, cache: Path) -> Path:
    """Return the folder of a loadable model, or raise WeightsError with what there is instead."""
    try:
        folder = find_model(model, revision, cache)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(_instead(model, revision, cache) or str(error)) from error
    if ids := model_ids(folder):
        raise WeightsError(
            f"{folder} is a Hugging Face cache, not the folder of a model; it has {_listed(ids)}"
        )
    if not (folder / CONFIG).is_file():
        raise WeightsError(f"{folder}: {CONFIG} is missing; it has {_listed(_names(folder))}")
    if missing := _missing(folder):
        raise WeightsError(f"{folder}: missing {_listed(missing)}")
    check_structure(folder)
    return folder


def _instead(model: str, revision: str | None, cache: Path) -> str | None:
    """Return what is there in place of a model that is not found; None for an invalid id."""
    if not is_hub_id(model):
        parent = next((p for p in Path(model).parents if p.is_dir()), None)
        return (
            f"{model}: no such folder; {parent} has {_listed(_names(parent))}" if parent else None
        )
    repository = repository_folder(model, cache)
    if not repository.is_dir():
        return f"{model} is not in {cache}, which has {_listed(model_ids(cache))}"
    refs_folder = repository / "refs"
    refs = sorted(
        path.relative_to(refs_folder).as_posix()
        for path in refs_folder.rglob("*")
        if path.is_file()
    )
    commits = sorted(path.name for path in (repository / "snapshots").glob("*"))
    return (
        f"{model} is in {cache}, but not its revision {revision or 'main'}; "
        f"it has the branches {_listed(refs)} and the commits {_listed(commits)}"
    )


def _missing(folder: Path) -> list[str]:
    """Return the files that loading needs and the folder lacks; of a link, where it leads."""
    if not any(folder.glob("*.safetensors*")):
        return []  # check_structure says what there is instead
    names = list(weight_names(folder))
    if not any(all((folder / name).is_file() for name in files) for files in _TOKENIZERS):
        names.append(_TOKENIZERS[0][0])
    return [_described(folder / name) for name in names if not (folder / name).is_file()]


def _described(path: Path) -> str:
    return f"{path.name} (a link to {path.readlink()})" if path.is_symlink() else path.name


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more if found else "nothing"
