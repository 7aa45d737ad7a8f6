"""Which of the models that a server lists are compared, where the config names none. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sizeup_loadtest.analysis import sizes

MAX_MODELS = 5
"""In ten minutes each of five models has about two."""

# Servers that say no more than names list these beside models that chat.
_NO_CHAT = re.compile(
    r"embed|rerank|\bbge\b|\be5\b|\bgte\b|minilm|\bbert\b|whisper|\btts\b|dall-e|moderation|transcribe|gpt-image"
)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model of a server's list."""

    name: str
    parameters: int | None = None
    weights: str | None = None
    """Equal for names of the same model."""
    excluded: str | None = None
    """Why it cannot be compared."""
    url: str = ""
    """Of its server."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The models of a run."""

    models: Sequence[ServedModel]
    left_out: Mapping[str, str]
    """Name -> reason."""


def from_ollama(
    tag: Mapping[str, object], shown: Mapping[str, object], size: int | None
) -> ServedModel:
    """Describe an entry of /api/tags; `shown` is what /api/show says of it."""
    name, digest = _short(tag.get("name")), tag.get("digest")
    excluded, capabilities = _excluded(name), shown.get("capabilities")
    if isinstance(capabilities, list):
        excluded = None if "completion" in capabilities else "no chat model"
    if tag.get("remote_model") or tag.get("remote_host"):
        excluded = "runs elsewhere"
    weights = digest if isinstance(digest, str) else None
    return ServedModel(name, size or sizes.in_name(name), weights, excluded)


def _short(name: object) -> str:
    """Return a name without the tag that servers of Ollama's API assume."""
    return str(name).removesuffix(":latest")


def from_openai(entry: Mapping[str, object]) -> ServedModel:
    """Describe an entry of /v1/models; vLLM's have `root` and, of an adapter, `parent`."""
    name, root, parent = _short(entry.get("id")), entry.get("root"), entry.get("parent")
    excluded = f"adapter of {parent}" if parent else _excluded(name)
    weights = root if isinstance(root, str) else None
    return ServedModel(name, sizes.in_name(name) or sizes.in_name(weights or ""), weights, excluded)


def _excluded(name: str) -> str | None:
    return "no chat model" if _NO_CHAT.search(name.lower()) else None


def choose(
    models: Iterable[ServedModel], names: Collection[str] = (), most: int = MAX_MODELS
) -> Choice:
    """Return the models that chat, smallest first, each once a server; of many, some of all sizes.

    With `names` these only, whatever they are.
    """
    if names:
        return Choice([model for model in models if model.name in names], {})
    left_out: dict[str, str] = {}
    distinct: dict[tuple[str, str], ServedModel] = {}
    # The name that says the size is kept, then the first listed.
    for model in sorted(models, key=lambda m: sizes.in_name(m.name) is None):
        key = (model.url, model.weights or model.name)
        if model.excluded is not None:
            left_out[model.name] = model.excluded
        elif key in distinct:
            left_out[model.name] = f"the same model as {distinct[key].name}"
        else:
            distinct[key] = model
    kept = sorted(distinct.values(), key=lambda m: m.parameters or 0)
    chosen = _spread(kept, most)
    left_out |= {m.name: f"more than {most} models" for m in kept if m not in chosen}
    return Choice(chosen, left_out)


def _spread(models: Sequence[ServedModel], most: int) -> Sequence[ServedModel]:
    """Return the first, the last, and evenly some between."""
    if len(models) <= most:
        return models
    return [models[round(i * (len(models) - 1) / (most - 1))] for i in range(most)]
