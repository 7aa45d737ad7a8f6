from xml.etree.ElementTree import fromstring

from loadtest import sample_results as sample
from loadtest.analysis.runs import slower
from sizeup_loadtest.analysis.comparison.compare import Comparison, compare_runs
from sizeup_loadtest.analysis.comparison.regression_gate import (
    AllowedChange,
    CaseOutcome,
    Gate,
    evaluate,
)
from sizeup_loadtest.report import gate as gate_report

RUN = sample.results()


def gate(compared: Comparison) -> Gate:
    return evaluate(compared, AllowedChange())


def test_junit_counts_failures() -> None:
    failed = gate(compare_runs(RUN, slower(RUN, 1.3)))
    suite = fromstring(gate_report.junit(failed))
    cases = [case for case in suite if case.find("failure") is not None]
    assert len(cases) == int(suite.attrib["failures"]) == failed.count(CaseOutcome.FAILED) > 0
    assert int(suite.attrib["tests"]) == len(suite)
    assert f"{len(cases)} failed" in gate_report.markdown(failed)


def test_faults_are_errors_in_junit_and_items_in_markdown() -> None:
    faulty = gate(compare_runs(RUN, sample.invalid()))
    suite = fromstring(gate_report.junit(faulty))
    assert int(suite.attrib["errors"]) == len(faulty.faults) > 0
    assert gate_report.markdown(faulty).count("\n- ") == len(faulty.faults)


def test_junit_is_valid_xml_whatever_the_names() -> None:
    name = {"name": 'a"<\x00\x1b&\ud800'}
    odd = RUN.model_copy(update={"models": (RUN.models[0].model_copy(update=name),)})
    assert fromstring(gate_report.junit(gate(compare_runs(odd, odd))))
