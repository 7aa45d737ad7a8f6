"""Families: models whose names differ after the colon only, as the sizes of qwen2.5 do. Pure."""

from collections.abc import Iterable, Sequence

from sizeup_gateway.models.catalog import Model


def family_of(model: Model) -> str:
    return model.entry.names[0].partition(":")[0]


def parameters_of(model: Model) -> int | None:
    """Return the size as the model reported it, else as the catalog has it; None if unknown."""
    return model.entry.parameters if model.info is None else model.info.parameters


def by_size(models: Iterable[Model]) -> Sequence[Model]:
    """Sort models in ascending order of size, those of unknown size last."""
    return sorted(models, key=_size)


def family(models: Iterable[Model], name: str) -> Sequence[Model]:
    """Return the models of a family, ascending by size; none if there is no such family."""
    return by_size(m for m in models if family_of(m).lower() == name.lower())


def _size(model: Model) -> tuple[bool, int, str]:
    parameters = parameters_of(model)
    return parameters is None, parameters or 0, model.key
