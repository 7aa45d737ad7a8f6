"""Content that is a string or a list of typed parts -> text."""

from collections.abc import Mapping

from sizeup_gateway.api.request_fields import type_of


def text_of(value: object, fields: Mapping[str, str], separator: str) -> object:
    """Join the text of a list of parts; return any other value as it is.

    `fields` maps the type of a part to the field with its text. Raises ValueError for parts of
    other types, by their name.
    """
    if not isinstance(value, list):
        return value
    return separator.join(_part_text(part, fields) for part in value)


def _part_text(part: object, fields: Mapping[str, str]) -> str:
    kind = type_of(part)
    if not isinstance(part, dict) or kind is None:
        raise ValueError("a content part must be an object with a type")
    if kind not in fields:
        raise ValueError(f"content parts of type {kind[:32]!r} are not supported by this server")
    text = part.get(fields[kind])
    if not isinstance(text, str):
        raise ValueError(f"the content part has no {fields[kind]}")  # noqa: TRY004
    return text
