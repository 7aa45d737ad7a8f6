"""Families: models whose names differ in the size only. Pure.

`qwen2.5:0.5b` and `qwen2.5:7b` are of the family `qwen2.5`, `qwen2.5:7b-base` is of `qwen2.5-base`.
"""

import re
from collections.abc import Iterable, Sequence

from sizeup_gateway.models.catalog import Model

_SIZE = re.compile(r"\d+(?:\.\d+)?[kmbt](?:-a\d+(?:\.\d+)?[kmb])?(?=-|$)", re.IGNORECASE)
"""As in 0.5b, or 30b-a3b of a mixture of experts."""


def family_of(model: Model) -> str:
    """Return the name without its size; tags without a size, as in `:latest`, are left out."""
    name, _, tag = model.entry.names[0].partition(":")
    size = _SIZE.match(tag)
    return name if size is None else name + tag[size.end() :]


def parameters_of(model: Model) -> int | None:
    """Return the size as the model reported it, else as the catalog has it; None if unknown."""
    return model.entry.parameters if model.info is None else model.info.parameters


def by_size(models: Iterable[Model]) -> Sequence[Model]:
    """Sort models in ascending order of size, those of unknown size last."""
    return sorted(models, key=size_order)


def family(models: Iterable[Model], name: str) -> Sequence[Model]:
    """Return the models of a family, ascending by size; none if there is no such family."""
    return by_size(m for m in models if family_of(m).lower() == name.lower())


def size_order(model: Model) -> tuple[bool, int, str]:
    parameters = parameters_of(model)
    return parameters is None, parameters or 0, model.key
