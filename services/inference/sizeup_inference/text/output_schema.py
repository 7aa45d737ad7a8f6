"""JSON schemas of outputs: bounded in size, closed to properties that they do not name. Pure."""

import re
from collections.abc import Iterator
from typing import Any

MAX_VALUES = 20_000
"""Keys and items in a schema: 1 s of compilation at most. OpenAI allows 5,000 properties."""
MAX_OPTIONAL = 400
"""Optional properties of one object, whose combinations take quadratic time in every mask."""
MAX_CHARACTERS = 2**20
"""Of the keys and texts in a schema."""
MAX_DEPTH = 64
"""As deep as the gateway accepts JSON."""


class GrammarError(Exception):
    """The schema or pattern is invalid, not supported, or too large."""


def output_schema(schema: dict[str, Any] | bool, *, strict: bool = False) -> dict[str, Any]:
    """Return the schema of an output; raise GrammarError.

    As in OpenAI, vLLM and llama.cpp, an object has the properties that its schema names and no
    others, unless it says so: models would go on writing properties until the output is full.
    Patterns and bounds that cannot be enforced are dropped, unless the schema is `strict`.
    """
    if schema is False:
        raise GrammarError("no value is valid by the schema false")
    rules = {} if schema is True else schema
    closes = not _has_key_within_limits(rules, "allOf")  # whose parts cannot be closed one by one
    adapted: dict[str, Any] = _adapted(rules, drops=not strict, closes=closes)
    return adapted


_REGEX_PARTS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]?|\\.|\(\?<?[=!]", re.DOTALL)
"""Classes, escapes, and the beginnings of look-around."""
_UNSUPPORTED_PARTS = re.compile(r"\(|\\[bBkZ1-9]")
"""Look-around, word boundaries and references to groups, which are no regular languages, or whose
complement llguidance does not compute."""


_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_MAX_BOUND = 2**63
"""llguidance computes with 64-bit integers."""


def _adapted(value: Any, *, drops: bool, closes: bool) -> Any:
    """Drop what cannot be enforced, and close objects, in a schema and those inside of it."""
    if isinstance(value, list):
        return [_adapted(item, drops=drops, closes=closes) for item in value]
    if not isinstance(value, dict):
        return value
    rules = {
        key: each if key in _DATA else _adapted(each, drops=drops, closes=closes)
        for key, each in value.items()
        if not (drops and _is_unsupported(key, each))
    }
    if closes and _names_all_properties(rules):
        rules["additionalProperties"] = False
    return rules


def _is_unsupported(key: str, value: Any) -> bool:
    if key in _BOUNDS:
        return isinstance(value, int | float) and abs(value) >= _MAX_BOUND
    if key != "pattern" or not isinstance(value, str):
        return False
    return any(map(_UNSUPPORTED_PARTS.match, _REGEX_PARTS.findall(value)))


def is_plain(schema: dict[str, Any]) -> bool:
    """Whether a schema of at most this size has no keyword that may take long to compile."""
    values = 0
    for containers, texts in levels(schema):
        values += sum(map(len, containers))
        if any(_is_slow(each) for each in containers if isinstance(each, dict)):
            return False
        if any(len(text) > _MAX_PLAIN_TEXT for text in texts):
            return False
    return values <= _MAX_PLAIN_VALUES


_SLOW = (
    "allOf", "oneOf", "not", "if",
    "pattern", "patternProperties", "propertyNames", "dependentSchemas", "multipleOf",
)  # fmt: skip
"""Intersections and complements of languages."""
_UNIONS = ("$ref", "anyOf")
"""Intersected with the keywords beside them, at every level of a chain: in exponential time."""
_ANNOTATIONS = {
    "$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated", "description",
    "examples", "readOnly", "title", "writeOnly", "x-guidance",
}  # fmt: skip
"""Keywords that exclude no value."""
_MAX_PLAIN_VALUES = 4_000
"""Compiled in less than 100 ms."""
_MAX_PLAIN_TEXT = 8192
"""Characters; the first mask of a longer text takes more than 5 ms."""


def _is_slow(schema: dict[str, Any]) -> bool:
    if any(key in schema for key in _SLOW):
        return True
    unions = [key for key in _UNIONS if key in schema]
    return bool(unions) and not schema.keys() - _ANNOTATIONS <= {unions[0]}


def _has_key_within_limits(schema: dict[str, Any], key: str) -> bool:
    """Return whether a key occurs anywhere; raise GrammarError for a schema that is too large."""
    values = characters = 0
    found = False
    for depth, (containers, texts) in enumerate(levels(schema), 1):
        for each in containers:
            values += len(each)
            if isinstance(each, dict):
                found = found or key in each
                _check_optional(each)
                characters += sum(map(len, each))
        characters += sum(map(len, texts))
        if values > MAX_VALUES or characters > MAX_CHARACTERS or depth > MAX_DEPTH:
            raise GrammarError("the schema is too large")
    return found


def levels(schema: dict[str, Any]) -> Iterator[tuple[list[Any], list[str]]]:
    """Yield the objects and arrays of each depth, and the texts in them."""
    level: list[Any] = [schema]
    while level:
        inner = [v for each in level for v in (each.values() if isinstance(each, dict) else each)]
        yield level, [value for value in inner if isinstance(value, str)]
        level = [value for value in inner if isinstance(value, dict | list)]


def _check_optional(schema: dict[str, Any]) -> None:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return
    optional = len(properties) - (len(required) if isinstance(required, list) else 0)
    if optional > MAX_OPTIONAL:
        raise GrammarError(f"an object has {optional} optional properties, over {MAX_OPTIONAL}")


_DATA = ("const", "default", "enum", "examples")
"""Keywords whose values are no schemas."""
_OTHERS = (
    "additionalProperties", "unevaluatedProperties", "patternProperties", "propertyNames",
    "minProperties", "$ref", "anyOf", "oneOf", "if", "not", "dependentSchemas",
)  # fmt: skip
"""Keywords that speak of properties elsewhere."""


def _names_all_properties(schema: dict[str, Any]) -> bool:
    """Whether a value is an object's schema, in which only `properties` names properties."""
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    is_schema = all(isinstance(each, dict | bool) for each in properties.values())
    is_object = schema.get("type", "object") == "object"
    named = all(isinstance(name, str) and name in properties for name in required)
    return is_schema and is_object and named and not any(key in schema for key in _OTHERS)
