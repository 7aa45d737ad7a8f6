"""docs/results.schema.json is the schema of results.json; docs/make_schema.py writes it."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_schema_in_docs_is_current() -> None:
    made: str = runpy.run_path(str(DOCS / "make_schema.py"))["text"]()
    written = (DOCS / "results.schema.json").read_text(encoding="utf-8")
    assert written == made, "run .venv/bin/python docs/make_schema.py"
