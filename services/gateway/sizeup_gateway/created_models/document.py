"""The stored text: a JSON object of created models by key. Pure.

Entries that this release cannot read are kept as they are: another release may have written them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from sizeup_gateway.errors import InvalidRequestError
from sizeup_gateway.models.created import CreatedModel

MAX_MODELS = 256
MAX_BYTES = 768 * 2**10
"""Of the text: Kubernetes limits a ConfigMap to 1 MiB, its metadata included."""
MAX_MODEL_BYTES = 128 * 2**10
"""Of one model: a system prompt or turns of some 30,000 tokens, and a license."""


@dataclass(frozen=True, slots=True)
class Document:
    models: Mapping[str, CreatedModel]
    """By key; those that can be read."""
    errors: Mapping[str, str]
    """Why the others cannot, by key."""
    entries: Mapping[str, Any]
    """All of them, as stored."""


def parse(text: str) -> Document:
    """Parse the text; raise ValueError if it is not a document."""
    try:
        content = json.loads(text) if text.strip() else {"models": {}}
        entries = dict(content["models"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not a document of created models: {error!r}") from error
    models: dict[str, CreatedModel] = {}
    errors: dict[str, str] = {}
    for key, entry in entries.items():
        try:
            model = CreatedModel.model_validate(entry)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            errors[key] = ".".join(map(str, first["loc"])) + ": " + first["msg"]
        else:
            if model.key == key:
                models[key] = model
            else:
                errors[key] = f"is the entry of {model.name}"
    return Document(models, errors, entries)


def with_model(document: Document, model: CreatedModel) -> str:
    """Return the text with a model added or replaced; raise InvalidRequestError at a limit."""
    entry = model.model_dump(mode="json", exclude_defaults=True)
    if len(_encode(entry).encode()) > MAX_MODEL_BYTES:
        raise InvalidRequestError(f"the model has more than {MAX_MODEL_BYTES} bytes of settings")
    entries = {**document.entries, model.key: entry}
    if len(entries) > MAX_MODELS:
        raise InvalidRequestError(f"there are {MAX_MODELS} created models already: delete one")
    text = _text(entries)
    if len(text.encode()) > MAX_BYTES:
        raise InvalidRequestError(f"created models have more than {MAX_BYTES} bytes: delete one")
    return text


def without_model(document: Document, key: str) -> str:
    return _text({k: entry for k, entry in document.entries.items() if k != key})


def _text(entries: Mapping[str, Any]) -> str:
    return _encode({"models": entries})


def _encode(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
