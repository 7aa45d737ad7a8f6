import math
from itertools import pairwise
from random import Random

from loadtest import sample_results as sample
from loadtest.analysis.runs import slower, with_stages
from sizeup_loadtest.analysis.comparison.compare import Change, Comparison, compare_runs
from sizeup_loadtest.analysis.comparison.regression_gate import (
    AllowedChange,
    CaseOutcome,
    Gate,
    evaluate,
)
from sizeup_loadtest.analysis.intervals import (
    geometric_mean,
    mean_estimate,
    student_quantile,
    wilson,
)
from sizeup_loadtest.data.results import Estimate, Results

RUN = sample.results()
DEFAULT = AllowedChange()
NO_CHANGE = AllowedChange(slowdown=0, throughput_loss=0, attainment_loss=0)


def passes(before: Results, after: Results, allowed: AllowedChange = DEFAULT) -> bool:
    return evaluate(compare_runs(before, after), allowed).passes


def test_only_an_interval_that_excludes_the_allowed_change_fails() -> None:
    assert passes(RUN, RUN)
    assert not passes(RUN, slower(RUN, 1.3))
    assert passes(RUN, slower(RUN, 1.06))  # the interval contains 1.05
    assert passes(RUN, slower(RUN, 0.5))


def one_of_many(beyond: float, blocks: int, cases: int = 60) -> Gate:
    """Evaluate one case, `beyond` standard errors over its limit, among unchanged cases."""
    half_width = student_quantile(blocks - 1) * 0.01

    def change(number: int, value: float) -> Change:
        low, high = value * math.exp(-half_width), value * math.exp(half_width)
        estimate, stage = Estimate(value=value, low=low, high=high), f"closed-{number}"
        return Change("m", stage, "tpot", "ratio", False, 1, value, estimate, blocks=blocks)

    worse = change(0, 1.05 * math.exp(0.01 * beyond))
    others = (change(i, 1.0) for i in range(1, cases))
    return evaluate(Comparison((worse, *others), (), True), DEFAULT)


def test_significance_grows_with_blocks() -> None:
    """Six standard errors have p = 1/500 with 5 blocks, and less than 1e-6 with 20."""
    few, many = one_of_many(6, blocks=5), one_of_many(6, blocks=20)
    assert few.passes
    assert few.cases[0].outcome is CaseOutcome.NOT_SIGNIFICANT
    assert not many.passes


def test_a_worse_case_that_is_not_significant_passes() -> None:
    gate = one_of_many(3, blocks=5)
    outcomes = [case.outcome for case in gate.cases[:2]]
    assert outcomes == [CaseOutcome.NOT_SIGNIFICANT, CaseOutcome.PASSED]
    assert gate.passes
    assert one_of_many(2, blocks=5).cases[0].outcome is CaseOutcome.PASSED


def measured(rng: Random, slowdown: float = 1) -> Results:
    """Simulate every model in every stage, in five blocks with a common effect per block."""

    def estimate(value: float, effects: list[float], sign: int) -> Estimate:
        blocks = [[value * math.exp(sign * (e + rng.gauss(0, 0.03)))] for e in effects]
        result = mean_estimate(blocks)
        assert result
        return result

    models = []
    for model in RUN.models:
        stages = []
        for stage in model.stages:
            effects = [rng.gauss(0, 0.05) for _ in range(5)]
            times = {
                name: times.model_copy(
                    update={"mean": estimate(times.mean.value * slowdown, effects, 1)}
                )
                for name in ("ttft", "tpot", "e2e")
                if (times := getattr(stage, name))
            }
            rates = {
                name: estimate(rate.value / slowdown, effects, -1)
                for name in ("out_tok_s", "goodput")
                if (rate := getattr(stage, name)) and rate.value
            }
            within = sum(rng.random() < 0.9 for _ in range(75))
            update = {**times, **rates, "attainment": wilson(within, 75)}
            stages.append(stage.model_copy(update=update))
        models.append(model.model_copy(update={"stages": tuple(stages)}))
    return RUN.model_copy(update={"models": tuple(models)})


def test_unchanged_runs_seldom_fail_whatever_the_number_of_cases() -> None:
    """Each of a hundred cases alone fails in one of forty pairs: nearly every pair would fail."""
    rng = Random(8)
    pairs = [*pairwise(measured(rng) for _ in range(9))]
    assert len(evaluate(compare_runs(*pairs[0]), NO_CHANGE).cases) > 100
    assert sum(not passes(*pair, NO_CHANGE) for pair in pairs) <= 1
    assert all(passes(*pair) for pair in pairs)


def test_unchanged_runs_of_more_blocks_seldom_fail() -> None:
    """Thirty cases of ten blocks each, whose true change is exactly the allowed one."""
    rng = Random(10)

    def fails() -> bool:
        changes = []
        for number in range(30):
            ratio = geometric_mean([[1.05 * math.exp(rng.gauss(0, 0.05))] for _ in range(10)])
            assert ratio
            stage = f"closed-{number}"
            changes.append(Change("m", stage, "tpot", "ratio", False, 1, 1, ratio, blocks=10))
        return not evaluate(Comparison((*changes,), (), True), DEFAULT).passes

    assert sum(fails() for _ in range(40)) <= 3


def test_runs_that_are_slower_throughout_fail() -> None:
    rng = Random(9)
    failed = [not passes(measured(rng), measured(rng, slowdown=1.25)) for _ in range(3)]
    assert all(failed)


def test_without_an_interval_a_case_is_undecided() -> None:
    gate = evaluate(compare_runs(RUN, slower(RUN, 3, spread=None)), DEFAULT)
    outcomes = {c.outcome for c in gate.cases if c.change.metric == "tpot"}
    assert outcomes == {CaseOutcome.UNDECIDED}


def test_runs_without_a_common_model_fail() -> None:
    assert not passes(RUN, RUN.model_copy(update={"models": ()}))


def test_invalid_or_incomplete_runs_and_other_schedules_fail() -> None:
    assert not passes(RUN, sample.invalid())
    assert not passes(RUN, sample.invalid_model())
    assert not passes(RUN, with_stages(RUN, RUN.models[0].stages[0]))
    other = compare_runs(RUN, RUN.model_copy(update={"schedule_hash": "00" * 32}))
    assert not evaluate(other, DEFAULT).passes
    assert evaluate(other, DEFAULT, any_schedule=True).passes


def test_proportions_alone_do_not_pass_a_run() -> None:
    def without_intervals(results: Results) -> Results:
        models = []
        for model in results.models:
            [stage, *_] = model.stages
            assert stage.tpot
            tpot = stage.tpot.model_copy(update={"mean": Estimate(value=0.01)})
            update = {"ttft": None, "e2e": None, "out_tok_s": None, "goodput": None, "tpot": tpot}
            models.append(model.model_copy(update={"stages": (stage.model_copy(update=update),)}))
        return results.model_copy(update={"models": tuple(models)})

    bare = without_intervals(RUN)
    gate = evaluate(compare_runs(bare, bare), DEFAULT)
    assert gate.count(CaseOutcome.PASSED)
    assert not gate.passes
