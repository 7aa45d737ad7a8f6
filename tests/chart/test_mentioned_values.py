"""The values that the pages on Kubernetes mention in their text exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.rendering import CHART
from chart.test_schema import POD_FIELDS

DOCS = Path(__file__).parents[2] / "docs"
KNOWN = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def mentioned() -> Iterator[tuple[str, ...]]:
    """Yield the paths of values."""
    for page in ("kubernetes.md", "operations.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        for inline in re.findall(r"`([^`\n]+)`", prose):
            keys = tuple(re.split(r"[:=]", inline)[0].split("."))
            if len(keys) > 1 and keys[0] in KNOWN:
                yield keys


@pytest.mark.parametrize("keys", sorted(set(mentioned())), ids=".".join)
def test_mentioned_values_exist(keys: tuple[str, ...]) -> None:
    place: Any = DEFAULTS
    for key in keys[:-1] if keys[-1] in POD_FIELDS else keys:
        assert key in place
        place = place[key]
