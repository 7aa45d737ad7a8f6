"""The chart's README: how the comments of values.yaml become rows."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from docs.make_chart_readme import CHART, page, preset_summary, type_of
from docs.values_file import Entry, Paragraph, default_of, read_values

FILE = """\
# Of the file.
# Second line.

# Above.
one: 1   # behind

# Of the map.
map:
  a: {b: "#", c: []}   # begins here
                       # and continues
  "d/e": ""
  # Above the list.
  list:
    - x: 1   # of an item
    - y
  last: x# y
models: {}
#  key:
#    id: a/b       # first
#                  # second
# Optional keys:
#    other: 0
"""


def test_a_comment_belongs_to_the_key_below_or_beside_it() -> None:
    rows = [i for i in read_values(FILE) if isinstance(i, Entry)]
    assert [(e.section, ".".join(e.path), e.text, e.is_optional) for e in rows] == [
        ("one", "one", "Above. behind", False),
        ("map", "map", "Of the map.", False),
        ("map", "map.a", "begins here and continues", False),
        ("map", "map.d/e", "", False),
        ("map", "map.list", "Above the list.", False),
        ("map", "map.last", "", False),
        ("models", "models", "", False),
        ("models", "key", "", True),
        ("models", "key.id", "first second", True),
        ("models", "other", "", True),
    ]


def test_a_comment_about_no_key_is_a_paragraph() -> None:
    found = [i for i in read_values(FILE) if isinstance(i, Paragraph)]
    assert found == [
        Paragraph("", "Of the file. Second line."),
        Paragraph("models", "Optional keys:"),
    ]


@pytest.mark.parametrize("comment", ["#        # not below behind", "#      sentence"])
def test_no_comment_is_lost(comment: str) -> None:
    with pytest.raises(ValueError, match="align"):
        read_values(f"a: 1  # text\nb: {{}}\n#  key: 1   # behind\n{comment}\n")


def test_defaults_are_as_written_and_lists_in_one_line() -> None:
    values = yaml.safe_load(FILE)
    rows = [i for i in read_values(FILE) if isinstance(i, Entry)]
    assert [default_of(values, entry) for entry in rows] == [
        "1", None, '{b: "#", c: []}', '""', "[{x: 1}, y]", "x# y", "{}", None, "a/b", "0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a", "integer, ≥ 1, < 9"),
        ("b", '`x`, `""`'),
        ("c.any", "string"),
        ("d", "integer or string"),
        ("e", "boolean"),
        ("unknown", ""),
    ],
)
def test_types_are_those_of_the_schema(path: str, shown: str) -> None:
    schema: dict[str, Any] = {
        "definitions": {"small": {"type": "integer", "minimum": 1, "exclusiveMaximum": 9}},
        "properties": {
            "a": {"$ref": "#/definitions/small"},
            "b": {"enum": ["x", ""]},
            "c": {"patternProperties": {"^.*$": {"type": ["string", "null"]}}},
            "d": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
            "e": True,
        },
        "allOf": [{"properties": {"e": {"type": "boolean"}}}],
    }
    assert type_of(schema, schema, path.split(".")) == shown


def test_the_summary_of_a_preset_is_its_first_sentence() -> None:
    text = "# On v1.5 nodes,\n# with GPUs. More.\nmodels: {}\n"
    assert preset_summary(text) == "On v1.5 nodes, with GPUs"


def leaves(values: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value that is no map."""
    if isinstance(values, dict) and values:
        for key, below in values.items():
            yield from leaves(below, f"{path}.{key}" if path else key)
    else:
        yield path


def test_every_value_has_a_row_or_is_in_one() -> None:
    rows = {line.split("`")[1] for line in page().splitlines() if line.startswith("| `")}
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert [
        p for p in leaves(values) if not any(p == r or p.startswith(f"{r}.") for r in rows)
    ] == []
