"""Extensions of schemathesis, which imports this module in its own environment."""

from collections import Counter
from typing import Any

import jsonschema_rs
import schemathesis

from fuzz.document import ITEMS, prepare
from fuzz.stream import NDJSON, SSE, items_of

_NEEDS_A_STREAM = ("POST /api/compare/stop",)
"""Stops a comparison that runs."""
_MIN_CASES = 300
"""Fewer cases of an operation may all be errors."""
_SHOWN_BYTES = 2000
"""Of a wrong stream."""


def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    prepare(raw_schema)


def stream_conformance(_ctx: Any, response: Any, case: Any) -> None:
    """A complete stream whose every item has the documented schema."""
    media_type = response.headers.get("content-type", [""])[0].partition(";")[0]
    if media_type not in (NDJSON, SSE):
        return
    validator = _validator(case.operation, media_type)
    try:
        for item in items_of(media_type, response.content):
            validator.validate(item)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        end = response.content[-_SHOWN_BYTES:].decode(errors="replace")
        raise AssertionError(f"{error}\n{end}") from error


class Reachability:
    """A run of some length has had a 200 from every operation that documents one."""

    def __init__(self) -> None:
        self._statuses: dict[str, Counter[int]] = {}
        self._supported: set[str] = set()

    def after_response(self, _ctx: Any, response: Any, case: Any) -> None:
        label = case.operation.label
        counts = self._statuses.setdefault(label, Counter())
        counts[response.status_code] += 1
        if "200" in case.operation.definition.raw["responses"] and label not in _NEEDS_A_STREAM:
            self._supported.add(label)

    def after_run(self, _ctx: Any) -> None:
        for label, counts in sorted(self._statuses.items()):
            print(f"{label:40}", *(f"{status}: {n}" for status, n in sorted(counts.items())))
        unreached = [
            label
            for label, counts in self._statuses.items()
            if label in self._supported and counts.total() >= _MIN_CASES and not counts[200]
        ]
        if unreached:
            raise AssertionError(f"never successful: {', '.join(sorted(unreached))}")


_validators: dict[str, Any] = {}


def _validator(operation: Any, media_type: str) -> Any:
    if operation.label not in _validators:
        document = operation.schema.raw_schema
        documented = document["paths"][operation.path][operation.method]["responses"]["200"]
        schema = {"components": document["components"], **documented["content"][media_type][ITEMS]}
        _validators[operation.label] = jsonschema_rs.validator_for(schema)
    return _validators[operation.label]


schemathesis.hook(before_load_schema)
schemathesis.check(stream_conformance)
schemathesis.check(Reachability)
