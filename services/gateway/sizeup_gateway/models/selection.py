"""Which model serves a name: virtual names of a family, and the fallback to a smaller size. Pure.

`qwen2.5:smallest`, `:largest` and `:largest-ready` name a size by its place among the sizes of
`qwen2.5`, unless a model of the catalog has that very name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sizeup_gateway.errors import ModelNotFoundError, NotReadyError
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.models.families import family, family_of, parameters_of


@dataclass(frozen=True, slots=True)
class Selected:
    model: Model
    name: str
    """For responses and errors: as the client wrote it, or the listed name of another size."""
    virtual: str | None = None
    """The virtual tag, if the name has one."""
    instead_of: Model | None = None
    """The model that was asked for, where a smaller one serves in its place."""


def select(models: Models, name: str, *, fall_back: bool = False) -> Selected:
    """Return the model that serves a name, or raise ModelNotFoundError or NotReadyError.

    `fall_back`: where it is not ready, take the next smaller one of its family that is.
    """
    try:
        selected = Selected(models.find(name), name)
    except ModelNotFoundError:
        selected = _select_virtual(models, name)
    model = selected.model
    if not fall_back or model.pool.ready_count:
        return selected
    sizes = family(models.by_key.values(), family_of(model))
    own = parameters_of(model)
    smaller = [
        m
        for m in sizes
        if m.pool.ready_count and own is not None and (parameters_of(m) or own) < own
    ]
    if not smaller:
        return selected
    return Selected(smaller[-1], smaller[-1].listed_name, selected.virtual, instead_of=model)


def _select_virtual(models: Models, name: str) -> Selected:
    family_name, _, tag = name.partition(":")
    choose = _VIRTUAL_TAGS.get(tag.lower())
    found = family(models.by_key.values(), family_name) if choose else ()
    sizes = [model for model in found if parameters_of(model) is not None] or found
    if choose is None or not sizes:
        raise ModelNotFoundError(name)
    model = choose(sizes)
    if model is None:
        raise NotReadyError(name, sizes[-1].state)
    return Selected(model, model.listed_name, virtual=tag.lower())


def _largest_ready(sizes: Sequence[Model]) -> Model | None:
    return next((model for model in reversed(sizes) if model.pool.ready_count), None)


_VIRTUAL_TAGS: Mapping[str, Callable[[Sequence[Model]], Model | None]] = {
    "smallest": lambda sizes: sizes[0],
    "largest": lambda sizes: sizes[-1],
    "largest-ready": _largest_ready,
}
