"""The page of `make clients`: its table is that of tests/clients/matrix.py."""

import pytest

from clients.matrix import CLIENTS, FEATURES, STANDARD_TESTS, Client
from clients.page import clients_page
from clients.results import Result, read_report
from docs.rooms import ROOT

CLIENT = Client("a client", "Ollama", "python.test_it", ("it",))
PYTEST = """<testsuites><testsuite>
<testcase classname="python.test_it" name="test_chat" />
<testcase classname="python.test_it" name="test_schema[native]" />
<testcase classname="python.test_it" name="test_schema[tool]"><failure message="no&#10;JSON" />
</testcase>
<testcase classname="python.test_it" name="test_n"><skipped type="pytest.xfail" message="why" />
</testcase>
<testcase classname="python.test_it" name="test_seed"><skipped type="pytest.skip" />
</testcase></testsuite></testsuites>"""
NODE = """<testsuites>
<testcase name="chat" classname="test"/>
<testcase name="stop" classname="test" failure="x">
<failure type="t" message="432 !== 4">...</failure></testcase>
</testsuites>"""


def test_a_report_of_pytest_has_a_result_per_test() -> None:
    assert read_report(PYTEST) == {
        "python.test_it": [
            Result("chat", "passed"),
            Result("schema", "passed"),
            Result("schema", "failed", "no"),
            Result("n", "expected", "why"),
            Result("seed", "skipped"),
        ]
    }


def test_a_report_of_node_belongs_to_the_module_that_was_run() -> None:
    assert read_report(NODE, "node.it") == {
        "node.it": [Result("chat", "passed"), Result("stop", "failed", "432 !== 4")]
    }


def test_a_feature_works_fails_with_its_reason_or_is_not_offered() -> None:
    standard = {tests: [Result("invoke", "passed")] for tests in STANDARD_TESTS.values()}
    failed = {CLIENT.tests: [Result("chat", "passed"), Result("schema", "failed", "no JSON")]}
    page = clients_page([CLIENT], {**standard, **failed}, {("python", "it"): "1.2"}, "Made today.")
    (row,) = (line for line in page.splitlines() if line.startswith("| a client"))
    cells = dict(
        zip(["title", "version", "api", *FEATURES], row.strip("| ").split(" | "), strict=True)
    )
    assert (cells["version"], cells["chat"], cells["schema"], cells["n"]) == ("1.2", "✓", "✗", "–")
    assert "- a client, schema: no JSON" in page.splitlines()
    assert "| ChatOpenAI | 1 | 0 | 0 | 0 |" in page.splitlines()


@pytest.mark.parametrize("client", CLIENTS, ids=lambda c: c.tests)
def test_the_page_has_the_client_and_its_tests_exist(client: Client) -> None:
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    assert f"| {client.title} |" in page, "run `make clients`"
    folder, module, *_ = client.tests.split(".")
    suffix = "mjs" if folder == "node" else "py"
    assert (ROOT / "tests" / "clients" / folder / f"{module}.{suffix}").exists()
