"""Which objects an output schema closes."""

from typing import Any

import pytest

from sizeup_inference.text.output_schema import GrammarError, is_plain, output_schema

TEXT = {"type": "string"}
CLOSED = {"properties": {"a": TEXT}, "additionalProperties": False}


def test_objects_have_no_other_properties_at_any_depth() -> None:
    schema = {
        "$defs": {"d": {"properties": {"a": TEXT}}},
        "properties": {"o": {"properties": {"a": TEXT}}, "l": {"items": {"$ref": "#/$defs/d"}}},
    }
    assert output_schema(schema) == {
        "$defs": {"d": CLOSED},
        "properties": {"o": CLOSED, "l": {"items": {"$ref": "#/$defs/d"}}},
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"properties": {"a": TEXT}, "additionalProperties": TEXT},
        {"properties": {"a": TEXT}, "patternProperties": {"^b": TEXT}},
        {"properties": {"a": TEXT}, "required": ["a", "b"]},
        {"properties": {"a": TEXT}, "anyOf": [{"required": ["b"]}]},
        {"allOf": [{"properties": {"a": TEXT}}, {"properties": {"b": TEXT}}]},
        {"const": {"properties": {"a": TEXT}}},
        {"enum": [{"properties": {"a": {}}}]},
        {"default": {"properties": {"a": {}}}},
    ],
)
def test_objects_that_name_properties_elsewhere_stay_open(schema: dict[str, Any]) -> None:
    assert output_schema(schema) == schema


def test_a_property_may_be_called_properties() -> None:
    schema = {"properties": {"properties": TEXT, "required": TEXT}}
    assert output_schema(schema) == schema | {"additionalProperties": False}


def test_a_schema_that_is_a_boolean() -> None:
    assert output_schema(True) == {}
    with pytest.raises(GrammarError):
        output_schema(False)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$ref": "#/$defs/d", "description": "a", "$defs": {"d": TEXT}}, True),
        ({"anyOf": [TEXT, {"type": "null"}], "default": None, "title": "A"}, True),
        ({"properties": {"a": {"$ref": "#/$defs/d", "type": "string"}}}, False),
        ({"anyOf": [TEXT, {"type": "null"}], "minLength": 1}, False),
        ({"items": {"anyOf": [TEXT], "$ref": "#/$defs/d"}}, False),
        ({"type": "string", "pattern": "a"}, False),
        ({"enum": ["a" * 10_000]}, False),
    ],
)
def test_which_schemas_are_known_to_compile_fast(schema: Any, expected: bool) -> None:
    assert is_plain(schema) is expected


@pytest.mark.parametrize(
    ("keyword", "supported"),
    [
        ({"pattern": r"^(?!\.)(?!.*\.\.)[a-z.]+@[a-z]+$"}, False),
        ({"pattern": r"(?<=a)b"}, False),
        ({"pattern": r"\bword\b"}, False),
        ({"pattern": r"(a)\1"}, False),
        ({"pattern": r"^(?:a|[(?=)\]]|\(?=|\\b)[^]b]+$"}, True),
        ({"pattern": r"^\d{5}(-\d{4})?$"}, True),
        ({"minimum": -(2**63)}, False),
        ({"exclusiveMaximum": 1.7976931348623157e308}, False),
        ({"maximum": 2**53}, True),
    ],
)
def test_keywords_that_cannot_be_enforced_are_dropped_unless_strict(
    keyword: dict[str, Any], supported: bool
) -> None:
    rules = {"items": {"allOf": [{"title": "a"} | keyword]}}
    dropped = {"items": {"allOf": [{"title": "a"}]}}
    assert output_schema(rules) == (rules if supported else dropped)
    assert output_schema(rules, strict=True) == rules


def test_data_and_properties_are_no_keywords() -> None:
    schema = {"const": {"pattern": r"\b"}}
    rules = {"properties": {"pattern": schema, "minimum": schema}, "required": ["a"]}
    assert output_schema(rules) == rules
