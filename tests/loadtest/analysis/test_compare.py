import math
from random import Random
from xml.etree.ElementTree import fromstring

import pytest

from loadtest import sample_results as sample
from loadtest.recording import record
from sizeup_loadtest.analysis import compare, regression_gate, validity
from sizeup_loadtest.analysis.intervals import (
    geometric_mean,
    mean_estimate,
    student_quantile,
    wilson,
)
from sizeup_loadtest.data.results import Estimate, Results, StageResult

RUN = sample.results()


def slower(results: Results, factor: float, spread: float | None = 0.01) -> Results:
    """Return the run with every time per token longer by a factor."""

    def worse(mean: Estimate) -> Estimate:
        value = mean.value * factor
        if spread is None:
            return Estimate(value=value)
        return Estimate(value=value, low=value * (1 - spread), high=value * (1 + spread))

    models = []
    for model in results.models:
        stages = []
        for stage in model.stages:
            assert stage.tpot
            tpot = stage.tpot.model_copy(update={"mean": worse(stage.tpot.mean)})
            stages.append(stage.model_copy(update={"tpot": tpot}))
        models.append(model.model_copy(update={"stages": tuple(stages)}))
    return results.model_copy(update={"models": tuple(models)})


def test_ratio_of_two_estimates_adds_their_errors() -> None:
    one = Estimate(value=10, low=9, high=11)
    found = compare.ratio(one, Estimate(value=20, low=18, high=22))
    assert found
    assert found.value == 2
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.8 < 2.2 < found.high
    assert compare.ratio(one, Estimate(value=20)) == Estimate(value=2)


def test_difference_is_newcombes() -> None:
    # Newcombe 1998, table II, (a) 56/70 - 48/80 by method 10
    found = compare.difference(wilson(48, 80), wilson(56, 70))
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)


def test_a_run_against_itself_shows_no_change_and_passes() -> None:
    compared = compare.runs(RUN, RUN)
    assert not compared.warnings
    assert {c.change.value for c in compared.changes} <= {0.0, 1.0}
    assert regression_gate.judge(compared, regression_gate.Allowed()).passes


def test_the_gate_fails_only_where_the_interval_excludes_what_is_allowed() -> None:
    allowed = regression_gate.Allowed(slowdown=0.05)
    assert not regression_gate.judge(compare.runs(RUN, slower(RUN, 1.3)), allowed).passes
    assert regression_gate.judge(
        compare.runs(RUN, slower(RUN, 1.06)), allowed
    ).passes  # interval holds 1.05
    assert regression_gate.judge(compare.runs(RUN, slower(RUN, 0.5)), allowed).passes


def with_stages(results: Results, *stages: StageResult) -> Results:
    """Return the run with its first size alone, and other stages."""
    only = results.models[0].model_copy(update={"stages": stages, "ability": None})
    return results.model_copy(update={"models": (only,)})


def faults(before: Results, after: Results) -> tuple[str, ...]:
    return regression_gate.judge(compare.runs(before, after), regression_gate.Allowed()).faults


def test_what_the_second_run_lacks_is_a_fault() -> None:
    first, second, *_ = RUN.models[0].stages
    name, before = RUN.models[0].name, with_stages(RUN, first, second)
    assert faults(before, before) == ()
    assert faults(with_stages(RUN, first), before) == ()
    [told] = faults(before, with_stages(RUN, first))
    assert told == f"the second run lacks {name}, {second.stage}"
    assert faults(RUN, RUN.model_copy(update={"models": RUN.models[1:]})) == (
        f"the second run lacks {name}",
    )
    able = RUN.models[0].model_copy(update={"ability": None})
    assert faults(RUN, RUN.model_copy(update={"models": (able, *RUN.models[1:])})) == (
        f"the second run lacks ability of {name}",
    )


@pytest.mark.parametrize("figure", ["ttft", "tpot", "e2e", "out_tok_s", "goodput", "attainment"])
def test_a_figure_that_disappeared_is_a_fault(figure: str) -> None:
    stage = RUN.models[0].stages[0]
    assert stage.mode == "closed"
    [told] = faults(
        with_stages(RUN, stage), with_stages(RUN, stage.model_copy(update={figure: None}))
    )
    assert told.startswith(f"the second run lacks {figure} of ")
    assert not faults(
        with_stages(RUN, stage.model_copy(update={figure: None})), with_stages(RUN, stage)
    )


def test_goodput_that_fell_to_nothing_is_a_fault() -> None:
    stage = RUN.models[0].stages[0]
    none = stage.model_copy(update={"goodput": Estimate(value=0, low=0, high=0)})
    assert len(faults(with_stages(RUN, stage), with_stages(RUN, none))) == 1
    assert not faults(with_stages(RUN, none), with_stages(RUN, none))


def test_output_of_an_open_loop_may_be_known_of_one_run_alone() -> None:
    stage = RUN.models[0].stages[0].model_copy(update={"mode": "open"})
    unknown = stage.model_copy(update={"out_tok_s": None})
    assert not faults(with_stages(RUN, stage), with_stages(RUN, unknown))


def test_a_run_that_was_stopped_does_not_pass() -> None:
    told = RUN.validity.model_copy(update={"warnings": (validity.STOPPED,)})
    stopped = RUN.model_copy(update={"validity": told})
    assert faults(RUN, stopped) == ("the second run was stopped before its end",)
    assert faults(stopped, RUN) == ("the first run was stopped before its end",)


def one_of_many(beyond: float, blocks: int, cases: int = 60) -> regression_gate.Gate:
    """Judge one case, so many standard errors beyond its limit, among others without a change."""
    reach = student_quantile(blocks - 1) * 0.01

    def change(number: int, value: float) -> compare.Change:
        ends = (value * math.exp(-reach), value * math.exp(reach))
        made = Estimate(value=value, low=ends[0], high=ends[1])
        stage = f"closed-{number}"
        return compare.Change("m", stage, "tpot", "ratio", False, 1, value, made, blocks=blocks)

    worse = change(0, 1.05 * math.exp(0.01 * beyond))
    others = (change(i, 1.0) for i in range(1, cases))
    return regression_gate.judge(
        compare.Comparison((worse, *others), (), True), regression_gate.Allowed()
    )


def test_more_blocks_prove_more() -> None:
    """Six standard errors are a chance of one in five hundred of 5 blocks, of millions of 20."""
    few, many = one_of_many(6, blocks=5), one_of_many(6, blocks=20)
    assert few.passes
    assert few.cases[0].outcome is regression_gate.CaseOutcome.UNPROVEN
    assert not many.passes


def test_a_case_that_is_worse_but_not_proven_is_named() -> None:
    gate = one_of_many(3, blocks=5)
    assert [case.outcome.value for case in gate.cases[:2]] == ["worse, not proven", "passed"]
    assert gate.passes
    assert "1 worse, not proven" in regression_gate.markdown(gate)
    [case, *_] = fromstring(regression_gate.junit(gate))
    assert "worse, not proven" in (case.findtext("system-out") or "")
    assert one_of_many(2, blocks=5).cases[0].outcome is regression_gate.CaseOutcome.PASSED


def test_a_change_has_the_blocks_of_the_run_with_fewer() -> None:
    def of(blocks: int) -> Results:
        return RUN.model_copy(update={"config": {"load": {"blocks": blocks}}})

    assert {c.blocks for c in compare.runs(of(20), of(8)).changes} == {8}
    bare = RUN.model_copy(update={"config": {}})
    assert {c.blocks for c in compare.runs(bare, of(8)).changes} == {5}


def measured(rng: Random, slowdown: float = 1) -> Results:
    """Measure every size in every stage, in five blocks whose moods all its figures share."""

    def estimate(value: float, moods: list[tuple[int, float]], sign: int) -> Estimate:
        blocks = {b: [value * math.exp(sign * (mood + rng.gauss(0, 0.03)))] for b, mood in moods}
        found = mean_estimate(blocks)
        assert found
        return found

    models = []
    for model in RUN.models:
        stages = []
        for stage in model.stages:
            moods = [*enumerate(rng.gauss(0, 0.05) for _ in range(5))]
            times = {
                name: times.model_copy(
                    update={"mean": estimate(times.mean.value * slowdown, moods, 1)}
                )
                for name in ("ttft", "tpot", "e2e")
                if (times := getattr(stage, name))
            }
            rates = {
                name: estimate(rate.value / slowdown, moods, -1)
                for name in ("out_tok_s", "goodput")
                if (rate := getattr(stage, name)) and rate.value
            }
            good = sum(rng.random() < 0.9 for _ in range(75))
            update = {**times, **rates, "attainment": wilson(good, 75)}
            stages.append(stage.model_copy(update=update))
        models.append(model.model_copy(update={"stages": tuple(stages)}))
    return RUN.model_copy(update={"models": tuple(models)})


def red(rng: Random, allowed: regression_gate.Allowed, slowdown: float = 1) -> bool:
    return not regression_gate.judge(
        compare.runs(measured(rng), measured(rng, slowdown)), allowed
    ).passes


NOTHING = regression_gate.Allowed(slowdown=0, throughput_loss=0, attainment_loss=0)
"""The strictest gate: what is judged is whether anything is worse at all."""


def test_unchanged_runs_seldom_fail() -> None:
    """However many cases there are; each alone would be red in one of forty."""
    rng = Random(8)
    cases = regression_gate.judge(compare.runs(measured(rng), measured(rng)), NOTHING).cases
    assert len(cases) > 100
    assert sum(red(rng, NOTHING) for _ in range(100)) <= 5
    assert sum(red(rng, regression_gate.Allowed()) for _ in range(25)) == 0


def test_unchanged_runs_of_more_blocks_seldom_fail() -> None:
    """Thirty cases of ten blocks each, whose truth is just what is allowed."""
    rng = Random(10)

    def fails() -> bool:
        changes = []
        for number in range(30):
            made = geometric_mean({b: [1.05 * math.exp(rng.gauss(0, 0.05))] for b in range(10)})
            assert made
            stage = f"closed-{number}"
            changes.append(
                compare.Change("m", stage, "tpot", "ratio", False, 1, 1, made, blocks=10)
            )
        return not regression_gate.judge(
            compare.Comparison((*changes,), (), True), regression_gate.Allowed()
        ).passes

    assert sum(fails() for _ in range(40)) <= 3


def test_runs_that_are_slower_throughout_fail() -> None:
    rng = Random(9)
    assert sum(red(rng, regression_gate.Allowed(), slowdown=1.25) for _ in range(30)) >= 27


def test_no_interval_is_undecided() -> None:
    gate = regression_gate.judge(
        compare.runs(RUN, slower(RUN, 3, spread=None)), regression_gate.Allowed()
    )
    tpot = {c.outcome for c in gate.cases if c.change.figure == "tpot"}
    assert tpot == {regression_gate.CaseOutcome.UNDECIDED}


def test_runs_with_nothing_in_common_do_not_pass() -> None:
    other = RUN.model_copy(update={"models": ()})
    assert not regression_gate.judge(compare.runs(RUN, other), regression_gate.Allowed()).passes


def test_an_invalid_run_or_another_schedule_does_not_pass() -> None:
    assert not regression_gate.judge(
        compare.runs(RUN, sample.invalid()), regression_gate.Allowed()
    ).passes
    assert not regression_gate.judge(
        compare.runs(RUN, sample.broken()), regression_gate.Allowed()
    ).passes
    other = compare.runs(RUN, RUN.model_copy(update={"schedule_hash": "00" * 32}))
    assert other.warnings
    assert not regression_gate.judge(other, regression_gate.Allowed()).passes
    assert regression_gate.judge(other, regression_gate.Allowed(), any_schedule=True).passes


def test_raw_events_of_one_schedule_are_compared_request_by_request() -> None:
    name = RUN.models[0].name
    stage = RUN.models[0].stages[0].stage
    first = [record(i, block=i % 5, model=name, stage=stage, gap=10 + i) for i in range(20)]
    second = [record(i, block=i % 5, model=name, stage=stage, gap=20 + 2 * i) for i in range(20)]
    found = compare.runs(RUN, RUN, (first, second))
    [tpot] = [c for c in found.changes if c.paired and c.figure == "tpot"]
    assert tpot.change.value == pytest.approx(2)
    assert tpot.change.high == pytest.approx(2)


def test_junit_counts_and_says_what_failed() -> None:
    gate = regression_gate.judge(compare.runs(RUN, slower(RUN, 1.3)), regression_gate.Allowed())
    suite = fromstring(regression_gate.junit(gate))
    failed = [case for case in suite if case.find("failure") is not None]
    assert len(failed) == int(suite.attrib["failures"]) > 0
    assert int(suite.attrib["tests"]) == len(suite)
    assert "failed" in regression_gate.markdown(gate)


def test_junit_is_xml_whatever_a_name_holds() -> None:
    names = {"name": 'a"<\x00\x1b&\ud800'}
    odd = RUN.model_copy(update={"models": (RUN.models[0].model_copy(update=names),)})
    gate = regression_gate.judge(compare.runs(odd, odd), regression_gate.Allowed())
    assert fromstring(regression_gate.junit(gate))


def test_shares_alone_do_not_prove_speed() -> None:
    def without_intervals(results: Results) -> Results:
        models = []
        for model in results.models:
            [stage, *_] = model.stages
            assert stage.tpot
            tpot = stage.tpot.model_copy(update={"mean": Estimate(value=0.01)})
            kept = {"ttft": None, "e2e": None, "out_tok_s": None, "goodput": None, "tpot": tpot}
            models.append(model.model_copy(update={"stages": (stage.model_copy(update=kept),)}))
        return results.model_copy(update={"models": tuple(models)})

    bare = without_intervals(RUN)
    gate = regression_gate.judge(compare.runs(bare, bare), regression_gate.Allowed())
    assert any(case.outcome is regression_gate.CaseOutcome.PASSED for case in gate.cases)
    assert not gate.passes
