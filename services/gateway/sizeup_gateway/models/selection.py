"""Which model serves a name: created models, virtual names of a family, and the fallback. Pure.

`qwen2.5:smallest`, `:largest` and `:largest-ready` name a size by its place among the sizes of
`qwen2.5`, unless a model of the catalog has that very name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches

from sizeup_gateway.errors import InvalidRequestError, ModelNotFoundError, NotReadyError
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.models.created import CreatedModel
from sizeup_gateway.models.families import family, family_of, parameters_of
from sizeup_wire.names import is_legal_name, name_key, shortest_name

_MAX_CLOSE = 5
_MAX_COMPARED = 80
"""Characters of a name; comparing takes quadratic time."""


@dataclass(frozen=True, slots=True)
class Selected:
    model: Model
    name: str
    """For responses and errors: as the client wrote it, or the listed name of another size."""
    created: CreatedModel | None = None
    """What a user has created of the model, if that is what was named."""
    virtual: str | None = None
    """The virtual tag, if the name has one."""
    instead_of: Model | None = None
    """The model that was asked for, where a smaller one serves in its place."""

    @property
    def key(self) -> str:
        """Identifies what was named."""
        return self.model.key if self.created is None else self.created.key

    @property
    def listed_name(self) -> str:
        return self.model.listed_name if self.created is None else self.created.name


def select(models: Models, name: str, *, fall_back: bool = False) -> Selected:
    """Return the model that serves a name.

    Raises InvalidRequestError, ModelNotFoundError or NotReadyError. `fall_back`: where it is not
    ready, take the next smaller one of its family that is.
    """
    selected = _find(models, name)
    model = selected.model
    if not fall_back or model.pool.responds:
        return selected
    sizes = family(models.by_key.values(), family_of(model))
    own = parameters_of(model)
    smaller = [
        m for m in sizes if m.pool.responds and own is not None and (parameters_of(m) or own) < own
    ]
    if not smaller:
        return selected
    instead = smaller[-1]
    return replace(selected, model=instead, name=instead.listed_name, instead_of=model)


def created_models(models: Models) -> Iterator[Selected]:
    """Yield the created models that are served, under their listed names."""
    for created in models.created.values():
        with suppress(ModelNotFoundError):
            selected = _find(models, created.name)
            if selected.created is not None:
                yield selected


def close_names(models: Models, name: str) -> Sequence[str]:
    """Return a few served names like one that is not served, or a few of the catalog's."""
    catalog = [model.listed_name for model in models.by_key.values()]
    names = [*catalog, *(created.name for created in models.created.values())]
    asked = shortest_name(name)[:_MAX_COMPARED].lower()
    return get_close_matches(asked, names, _MAX_CLOSE) or catalog[:_MAX_CLOSE]


def _find(models: Models, name: str) -> Selected:
    try:
        return Selected(models.find(name), name)
    except ModelNotFoundError:
        # A catalog may have names that are not legal in Ollama; no other name of that kind exists.
        if not is_legal_name(name):
            raise InvalidRequestError("invalid model name", "model") from None
    created = models.created.get(name_key(name))
    if created is None:
        return _select_virtual(models, name)
    try:
        return Selected(models.find(created.base), name, created)
    except ModelNotFoundError:
        raise ModelNotFoundError(name, f"{created.base} is not served here") from None


def _select_virtual(models: Models, name: str) -> Selected:
    family_name, _, tag = shortest_name(name).partition(":")
    choose = _VIRTUAL_TAGS.get(tag.lower())
    found = family(models.by_key.values(), family_name) if choose else ()
    sizes = [model for model in found if parameters_of(model) is not None] or found
    if choose is None or not sizes:
        raise ModelNotFoundError(name)
    model = choose(sizes)
    if model is None:
        raise NotReadyError(name, sizes[-1].state)
    return Selected(model, model.listed_name, virtual=tag.lower())


_VIRTUAL_TAGS: Mapping[str, Callable[[Sequence[Model]], Model | None]] = {
    "smallest": lambda sizes: sizes[0],
    "largest": lambda sizes: sizes[-1],
    "largest-ready": lambda sizes: next((m for m in reversed(sizes) if m.pool.responds), None),
}
