"""A regression gate as JUnit XML and Markdown."""

from xml.etree.ElementTree import Element, SubElement, tostring

from sizeup_loadtest.analysis.comparison.regression_gate import Case, CaseOutcome, Gate
from sizeup_loadtest.report.comparison import HEADS, amount, row, with_interval
from sizeup_loadtest.report.markdown import escape, table

_ORDER = (
    CaseOutcome.FAILED, CaseOutcome.NOT_SIGNIFICANT, CaseOutcome.UNDECIDED, CaseOutcome.PASSED
)  # fmt: skip


def junit(gate: Gate) -> str:
    """Return a test case per metric; faults of the runs are errors."""
    suite = Element(
        "testsuite",
        name="sizeup-bench check",
        tests=str(len(gate.cases) + len(gate.faults)),
        failures=str(gate.count(CaseOutcome.FAILED)),
        errors=str(len(gate.faults)),
        skipped=str(gate.count(CaseOutcome.UNDECIDED)),
    )
    for fault in gate.faults:
        element = SubElement(suite, "testcase", classname="run", name="comparable")
        SubElement(element, "error", message=_xml_text(fault))
    for case in gate.cases:
        _add(suite, case)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: Element, case: Case) -> None:
    change = case.change
    name = f"{change.stage or 'ability'}: {change.metric}"
    element = SubElement(suite, "testcase", classname=_xml_text(change.model), name=_xml_text(name))
    message = f"{with_interval(change)}, limit {amount(change, case.limit)}"
    if case.outcome is CaseOutcome.FAILED:
        SubElement(element, "failure", message=message)
    elif case.outcome is CaseOutcome.NOT_SIGNIFICANT:
        SubElement(element, "system-out").text = f"{case.outcome}: {message}"
    elif case.outcome is CaseOutcome.UNDECIDED:
        SubElement(element, "skipped", message=f"no interval: fewer than 5 blocks; {message}")


def _xml_text(text: str) -> str:
    """Drop control characters, which XML 1.0 does not allow, and lone surrogates."""
    valid = text.encode("utf-8", "replace").decode()
    return "".join(c for c in valid if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def markdown(gate: Gate) -> str:
    """Return the gate as Markdown, failures first."""
    word = "passed" if gate.passes else "failed"
    counts = "; ".join(f"{gate.count(outcome)} {outcome}" for outcome in CaseOutcome)
    lines = [f"# Regression check {word}", "", f"{counts}."]
    lines += [f"- {escape(fault)}" for fault in gate.faults]
    rows = [
        [*row(case.change), amount(case.change, case.limit), case.outcome.value]
        for case in sorted(gate.cases, key=lambda case: _ORDER.index(case.outcome))
    ]
    return "\n".join([*lines, "", *table((*HEADS, "limit", "outcome"), rows)]) + "\n"
