"""Immutable fields, which an upgrade must not change.

immutable.yaml records them as rendered by chart 0.1.0, from which an upgrade must be possible.
Changing them requires a major version and a migration.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from chart.rendering import EVERYTHING, Json, merge, render

RECORD = Path(__file__).with_name("immutable.yaml")
CACHES: dict[str, Any] = {
    "shared": EVERYTHING,
    "perModel": merge(EVERYTHING, {"modelCache": {"mode": "perModel"}}),
}


def immutable(one: Json) -> Json | None:
    """Return the immutable fields of an object, or None if its kind has none."""
    spec = one.get("spec", {})
    match one["kind"]:
        case "Deployment":
            return {"selector": spec["selector"]}
        case "Service":
            return {"clusterIP": spec.get("clusterIP")}
        case "PersistentVolumeClaim":
            return {k: v for k, v in spec.items() if k != "resources"}
        case "RoleBinding":
            return {"roleRef": one["roleRef"]}
        case _:
            return None


def recorded(values: dict[str, Any]) -> Json:
    """Return the immutable fields of all rendered objects."""
    found = {f"{o['kind']}/{o['metadata']['name']}": immutable(o) for o in render(values)}
    return {name: fields for name, fields in sorted(found.items()) if fields is not None}


def test_immutable_fields_are_unchanged() -> None:
    before = yaml.safe_load(RECORD.read_text())
    now = {mode: recorded(values) for mode, values in CACHES.items()}
    assert now == before


def test_selector_matches_its_own_template() -> None:
    for one in render(EVERYTHING):
        if one["kind"] == "Deployment":
            wanted = one["spec"]["selector"]["matchLabels"].items()
            assert wanted <= one["spec"]["template"]["metadata"]["labels"].items()


def test_every_job_name_ends_with_a_hash() -> None:
    jobs = [o for o in render(EVERYTHING) if o["kind"] == "Job"]
    assert all(len(o["metadata"]["name"].rpartition("-")[2]) == 8 for o in jobs)
    assert len({json.dumps(o["spec"], sort_keys=True) for o in jobs}) == len(jobs)
