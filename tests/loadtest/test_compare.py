import math
from random import Random
from xml.etree.ElementTree import fromstring

import pytest

from loadtest import sample_results as sample
from loadtest.recording import record
from sizeup_loadtest import check, compare
from sizeup_loadtest.results import Estimate, Results
from sizeup_loadtest.statistics import mean_of, wilson

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
    assert check.judge(compared, check.Allowed()).passes


def test_the_gate_fails_only_where_the_interval_excludes_what_is_allowed() -> None:
    allowed = check.Allowed(slowdown=0.05)
    assert not check.judge(compare.runs(RUN, slower(RUN, 1.3)), allowed).passes
    assert check.judge(compare.runs(RUN, slower(RUN, 1.06)), allowed).passes  # interval holds 1.05
    assert check.judge(compare.runs(RUN, slower(RUN, 0.5)), allowed).passes


def measured(rng: Random, slowdown: float = 1) -> Results:
    """Measure every size in every stage, in five blocks whose moods all its figures share."""

    def estimate(value: float, moods: list[tuple[int, float]], sign: int) -> Estimate:
        blocks = {b: [value * math.exp(sign * (mood + rng.gauss(0, 0.03)))] for b, mood in moods}
        found = mean_of(blocks)
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


def red(rng: Random, allowed: check.Allowed, slowdown: float = 1) -> bool:
    return not check.judge(compare.runs(measured(rng), measured(rng, slowdown)), allowed).passes


NOTHING = check.Allowed(slowdown=0, throughput_loss=0, attainment_loss=0)
"""The strictest gate: what is judged is whether anything is worse at all."""


def test_unchanged_runs_seldom_fail() -> None:
    """However many cases there are; each alone would be red in one of forty."""
    rng = Random(8)
    cases = check.judge(compare.runs(measured(rng), measured(rng)), NOTHING).cases
    assert len(cases) > 100
    assert sum(red(rng, NOTHING) for _ in range(100)) <= 5
    assert sum(red(rng, check.Allowed()) for _ in range(25)) == 0


def test_runs_that_are_slower_throughout_fail() -> None:
    rng = Random(9)
    assert sum(red(rng, check.Allowed(), slowdown=1.25) for _ in range(30)) >= 27


def test_no_interval_is_undecided() -> None:
    gate = check.judge(compare.runs(RUN, slower(RUN, 3, spread=None)), check.Allowed())
    tpot = {c.outcome for c in gate.cases if c.change.figure == "tpot"}
    assert tpot == {check.Outcome.UNDECIDED}


def test_runs_with_nothing_in_common_do_not_pass() -> None:
    other = RUN.model_copy(update={"models": ()})
    assert not check.judge(compare.runs(RUN, other), check.Allowed()).passes


def test_an_invalid_run_or_another_schedule_does_not_pass() -> None:
    assert not check.judge(compare.runs(RUN, sample.invalid()), check.Allowed()).passes
    assert not check.judge(compare.runs(RUN, sample.broken()), check.Allowed()).passes
    other = compare.runs(RUN, RUN.model_copy(update={"schedule_hash": "00" * 32}))
    assert other.warnings
    assert not check.judge(other, check.Allowed()).passes
    assert check.judge(other, check.Allowed(), any_schedule=True).passes


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
    gate = check.judge(compare.runs(RUN, slower(RUN, 1.3)), check.Allowed())
    suite = fromstring(check.junit(gate))
    failed = [case for case in suite if case.find("failure") is not None]
    assert len(failed) == int(suite.attrib["failures"]) > 0
    assert int(suite.attrib["tests"]) == len(suite)
    assert "failed" in check.markdown(gate)


def test_junit_is_xml_whatever_a_name_holds() -> None:
    names = {"name": 'a"<\x00\x1b&\ud800'}
    odd = RUN.model_copy(update={"models": (RUN.models[0].model_copy(update=names),)})
    gate = check.judge(compare.runs(odd, odd), check.Allowed())
    assert fromstring(check.junit(gate))


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
    gate = check.judge(compare.runs(bare, bare), check.Allowed())
    assert any(case.outcome is check.Outcome.PASSED for case in gate.cases)
    assert not gate.passes
