"""docs/example-report.html matches the figures in the README and docs."""

import re
from itertools import pairwise
from pathlib import Path

from sizeup_loadtest.analysis.selection import lightest_stage
from sizeup_loadtest.data.results import Results

DOCS = Path(__file__).parents[3] / "docs"


def results() -> Results:
    """Return the embedded results, which have to match the current schema."""
    page = (DOCS / "example-report.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="results">(.*?)</script>', page)
    assert found
    return Results.model_validate_json(found[1])


def test_ability_and_tpot_grow_with_size() -> None:
    sizes = results().models
    assert [size.name for size in sizes] == ["toy:0.5m", "toy:2m", "toy:5m"]
    for small, large in pairwise(sizes):
        first, second = lightest_stage(small), lightest_stage(large)
        assert first and second and first.tpot and second.tpot  # noqa: PT018 - for the checker
        assert first.tpot.mean.value < second.tpot.mean.value
        assert small.ability and large.ability  # noqa: PT018 - for the checker
        assert small.ability.overall.value < large.ability.overall.value


def test_the_example_is_a_valid_run_of_less_than_ten_minutes() -> None:
    run = results()
    assert run.validity.valid
    assert run.scenario == "size-sweep"
    assert run.seconds < 600
    assert run.verdict and run.verdict.smallest  # noqa: PT018 - for the checker


def test_the_docs_quote_the_example() -> None:
    docs = (DOCS / "loadtest.md").read_text(encoding="utf-8").replace("\n", " ")
    sizes = results().models
    paces = [
        stage.tpot.mean.value * 1000 for s in sizes if (stage := lightest_stage(s)) and stage.tpot
    ]
    shares = [s.ability.overall.value * 100 for s in sizes if s.ability]
    assert "{:.2f}, {:.2f} and {:.2f} ms".format(*paces) in docs
    assert "{:.0f}, {:.0f} and {:.0f} %".format(*shares) in docs
