"""Which objects an output schema closes."""

from typing import Any

import pytest

from sizeup_inference.text.output_schema import SchemaError, output_schema

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
    with pytest.raises(SchemaError):
        output_schema(False)
