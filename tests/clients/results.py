"""JUnit reports of pytest and node -> results by client. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

Outcome = Literal["passed", "failed", "skipped", "expected"]
"""expected: a failure that the test declares (xfail)."""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one test."""

    name: str
    """Without `test_` and parameters."""
    outcome: Outcome
    reason: str = ""
    """One line."""


def read_report(text: str, node_tests: str | None = None) -> Mapping[str, list[Result]]:
    """Return the results by the module or class of the tests; node's reports do not name it."""
    results: dict[str, list[Result]] = {}
    for case in ElementTree.fromstring(text).iter("testcase"):
        tests = node_tests or str(case.get("classname"))
        results.setdefault(tests, []).append(_result(case))
    return results


def _result(case: ElementTree.Element) -> Result:
    name = re.sub(r"\[.*", "", case.get("name", "").removeprefix("test_"))
    for kind in ("failure", "error", "skipped"):
        found = case.find(kind)
        if found is not None:
            expected = found.get("type") == "pytest.xfail"
            outcome: Outcome = "failed" if kind != "skipped" else "skipped"
            return Result(name, "expected" if expected else outcome, _reason(found))
    return Result(name, "passed")


def _reason(element: ElementTree.Element) -> str:
    lines = (element.get("message") or element.text or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def by_feature(results: list[Result]) -> Iterator[tuple[str, str | None]]:
    """Return each feature with the reason of its first failure, or None where it works."""
    for name in dict.fromkeys(result.name for result in results):
        failures = (r.reason for r in results if r.name == name and r.outcome != "passed")
        yield name, next(failures, None)
