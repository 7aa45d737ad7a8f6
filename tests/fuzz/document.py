"""The OpenAPI document as schemathesis gets it: with names of served models, and closed responses.

A random name of a model is a 404 and reaches no model. A closed response makes a field that is not
documented a wrong shape. Schemas of streams move to ITEMS, since OpenAPI 3.1 describes the items of
a stream by a keyword that schemathesis does not read.
"""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

SERVED = ("toy:0.5m", "toy:2m")
CREATED = ("fuzz:one", "fuzz:two")
"""Names of the models that requests create, copy and delete."""

ITEMS = "x-items"
"""Key of a media type: the schema of each item of a stream."""

_NAMES: dict[str, tuple[str, ...]] = {
    "model": (*SERVED, *CREATED),
    "from": (*SERVED, *CREATED),
    "source": (*SERVED, *CREATED),
    "destination": CREATED,
}
_CONTENT = ("messages", "prompt", "input")
"""Fields without which a model is only loaded."""
_CHANGING = ("/api/create", "/api/delete")
"""Their model is one that users own."""
_METHODS = ("get", "post", "delete")


def prepare(document: Json) -> None:
    """Change the document in place."""
    schemas = document["components"]["schemas"]
    requests = set()
    for path, operation in _operations(document):
        _move_items(operation)
        for parameter in operation.get("parameters", ()):
            if (path, parameter["name"]) == ("/v1/models/{id}", "id"):
                parameter["schema"] = {"enum": list(_NAMES["model"])}
        for media in operation.get("requestBody", {}).get("content", {}).values():
            name = media["schema"]["$ref"].rpartition("/")[2]
            requests |= _closure(schemas, name)
            _set_names(schemas[name], CREATED if path in _CHANGING else _NAMES["model"])
    for name, schema in schemas.items():
        if name not in requests and "properties" in schema:
            schema.setdefault("additionalProperties", False)


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, item[method]


def _move_items(operation: Json) -> None:
    for response in operation["responses"].values():
        for media in response.get("content", {}).values():
            if "contentSchema" in media.get("schema", {}):
                media[ITEMS] = media.pop("schema")["contentSchema"]


def _set_names(schema: Json, models: tuple[str, ...]) -> None:
    fixed: Json = {
        name: {"enum": list(names)} for name, names in (_NAMES | {"model": models}).items()
    }
    fixed |= {"stream": {"type": "boolean"}, "models": {"enum": [list(SERVED), [SERVED[0]]]}}
    properties = schema["properties"]
    if "models" in properties:  # exactly one of models and family, of messages and prompt
        del properties["family"], properties["prompt"]
    required = set(schema.get("required", ()))
    for name, property in properties.items():
        if name in fixed:
            properties[name] = fixed[name]
        elif name in _CONTENT and "anyOf" in property:
            options = [one for one in property["anyOf"] if one != {"type": "null"}]
            properties[name] = {"anyOf": options}
        else:
            continue
        required.add(name)
    schema["required"] = sorted(required)


def _closure(schemas: Json, name: str) -> set[str]:
    """Return the names of a schema and of all that it refers to."""
    found: set[str] = set()
    names = [name]
    while names:
        if (current := names.pop()) not in found:
            found.add(current)
            names += _references(schemas[current])
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
