"""Write docs/results.schema.json: the JSON Schema of results.json, from the models in results.py.

.venv/bin/python docs/make_schema.py
"""

import json
from pathlib import Path

from sizeup_loadtest.results import SCHEMA_VERSION, Results

SCHEMA = Path(__file__).with_name("results.schema.json")


def text() -> str:
    """Return the schema; fields that it does not require may be missing in older results."""
    made = Results.model_json_schema()
    title = f"results.json of sizeup-bench, schema_version {SCHEMA_VERSION}"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps({**head, **made, "title": title}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text(), encoding="utf-8")
