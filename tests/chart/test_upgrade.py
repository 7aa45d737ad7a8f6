"""What an upgrade cannot change: Kubernetes refuses it for objects that are there.

The fields are recorded in immutable.yaml as the chart 0.1.0 made them; an installation of that
version must be able to go to this one. A change here needs a major version and a way over.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from chart.rendering import EVERYTHING, Json, over, render

RECORD = Path(__file__).with_name("immutable.yaml")
CACHES: dict[str, Any] = {
    "shared": EVERYTHING,
    "perModel": over(EVERYTHING, {"modelCache": {"mode": "perModel"}}),
}


def immutable(one: Json) -> Json | None:
    """Return the fields of an object that Kubernetes does not let change."""
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
    """Return the immutable fields of everything the chart makes."""
    found = {f"{o['kind']}/{o['metadata']['name']}": immutable(o) for o in render(values)}
    return {name: fields for name, fields in sorted(found.items()) if fields is not None}


def test_what_cannot_change_has_not() -> None:
    before = yaml.safe_load(RECORD.read_text())
    now = {mode: recorded(values) for mode, values in CACHES.items()}
    assert now == before


def test_a_selector_takes_the_pods_of_its_own_template() -> None:
    for one in render(EVERYTHING):
        if one["kind"] == "Deployment":
            wanted = one["spec"]["selector"]["matchLabels"].items()
            assert wanted <= one["spec"]["template"]["metadata"]["labels"].items()


def test_a_hash_is_in_the_name_of_every_job() -> None:
    jobs = [o for o in render(EVERYTHING) if o["kind"] == "Job"]
    assert all(len(o["metadata"]["name"].rpartition("-")[2]) == 8 for o in jobs)
    assert len({json.dumps(o["spec"], sort_keys=True) for o in jobs}) == len(jobs)
