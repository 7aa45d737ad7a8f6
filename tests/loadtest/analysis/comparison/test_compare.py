import pytest

from loadtest import sample_results as sample
from loadtest.analysis.runs import with_stages
from loadtest.recording import record
from sizeup_loadtest.analysis import validity
from sizeup_loadtest.analysis.comparison import compare
from sizeup_loadtest.analysis.comparison.compare import compare_runs
from sizeup_loadtest.analysis.intervals import wilson
from sizeup_loadtest.data.results import Estimate, Results
from sizeup_loadtest.errors import UsageError

RUN = sample.results()


def missing(before: Results, after: Results) -> int:
    return len(compare_runs(before, after).missing)


def test_the_errors_of_a_ratio_add_in_quadrature() -> None:
    one = Estimate(value=10, low=9, high=11)
    ratio = compare.ratio(one, Estimate(value=20, low=18, high=22))
    assert ratio
    assert ratio.value == 2
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < 1.8 < 2.2 < ratio.high
    assert compare.ratio(one, Estimate(value=20)) == Estimate(value=2)


def test_a_difference_has_newcombes_interval() -> None:
    # Newcombe 1998, table II, (a) 56/70 - 48/80 by method 10
    difference = compare.difference(wilson(48, 80), wilson(56, 70))
    assert difference.value == pytest.approx(0.2)
    assert difference.low == pytest.approx(0.0524, abs=5e-5)
    assert difference.high == pytest.approx(0.3339, abs=5e-5)


def test_a_run_compared_with_itself_has_no_change() -> None:
    compared = compare_runs(RUN, RUN)
    assert (compared.warnings, compared.invalid, compared.missing) == ((), (), ())
    assert {c.change.value for c in compared.changes} <= {0.0, 1.0}


def test_a_missing_model_stage_or_ability_is_reported() -> None:
    first, second, *_ = RUN.models[0].stages
    name, before = RUN.models[0].name, with_stages(RUN, first, second)
    assert missing(with_stages(RUN, first), before) == 0
    [stage] = compare_runs(before, with_stages(RUN, first)).missing
    assert name in stage
    assert second.stage in stage
    assert missing(RUN, RUN.model_copy(update={"models": RUN.models[1:]})) == 1
    without = RUN.models[0].model_copy(update={"ability": None})
    assert missing(RUN, RUN.model_copy(update={"models": (without, *RUN.models[1:])})) == 1


@pytest.mark.parametrize("metric", ["ttft", "tpot", "e2e", "out_tok_s", "goodput", "attainment"])
def test_a_missing_metric_is_reported(metric: str) -> None:
    stage = RUN.models[0].stages[0]
    assert stage.mode == "closed"
    whole = with_stages(RUN, stage)
    part = with_stages(RUN, stage.model_copy(update={metric: None}))
    [reported] = compare_runs(whole, part).missing
    assert metric in reported
    assert missing(part, whole) == 0


def test_goodput_that_dropped_to_zero_is_missing() -> None:
    stage = RUN.models[0].stages[0]
    zero = stage.model_copy(update={"goodput": Estimate(value=0, low=0, high=0)})
    assert missing(with_stages(RUN, stage), with_stages(RUN, zero)) == 1
    assert missing(with_stages(RUN, zero), with_stages(RUN, zero)) == 0


def test_open_loop_throughput_may_be_unknown_in_one_run() -> None:
    stage = RUN.models[0].stages[0].model_copy(update={"mode": "open"})
    unknown = stage.model_copy(update={"out_tok_s": None})
    assert missing(with_stages(RUN, stage), with_stages(RUN, unknown)) == 0


def named(*names: str) -> Results:
    models = (m.model_copy(update={"name": n}) for m, n in zip(RUN.models, names, strict=False))
    return RUN.model_copy(update={"models": tuple(models)})


def test_models_of_other_names_are_paired_on_request() -> None:
    before, after = named("qwen2.5:7b", "b"), named("Qwen/Qwen2.5-7B-Instruct", "c=d")
    assert compare_runs(before, after).changes == ()
    [suggestion] = [w for w in compare_runs(before, after).warnings if "--pair" in w]
    pairs = [suggestion.rpartition(" ")[2], "b=c=d"]
    assert pairs[0] == "qwen2.5:7b=Qwen/Qwen2.5-7B-Instruct"
    paired = compare_runs(before, compare.renamed(before, after, pairs))
    assert {change.model for change in paired.changes} == {"qwen2.5:7b", "b"}
    assert paired.warnings == ()


@pytest.mark.parametrize("pairs", [["a"], ["a=x"], ["x=c"], ["a=c", "a=d"], ["a=d"]])
def test_a_pair_that_no_run_has_is_an_error(pairs: list[str]) -> None:
    after = named("c", "d") if pairs != ["a=d"] else named("a", "d")
    with pytest.raises(UsageError, match="--pair"):
        compare.renamed(named("a", "b"), after, pairs)


def test_a_stopped_run_is_incomplete() -> None:
    warned = RUN.validity.model_copy(update={"warnings": (validity.STOPPED,)})
    stopped = RUN.model_copy(update={"validity": warned})
    assert missing(RUN, stopped) == missing(stopped, RUN) == 1


def test_invalid_runs_and_models_are_reported() -> None:
    assert compare_runs(RUN, sample.invalid()).invalid
    assert compare_runs(sample.invalid_model(), RUN).invalid


def test_a_change_has_the_blocks_of_the_run_with_fewer() -> None:
    def with_blocks(blocks: int) -> Results:
        return RUN.model_copy(update={"config": {"load": {"blocks": blocks}}})

    assert {c.blocks for c in compare_runs(with_blocks(20), with_blocks(8)).changes} == {8}
    bare = RUN.model_copy(update={"config": {}})
    assert {c.blocks for c in compare_runs(bare, with_blocks(8)).changes} == {5}


def test_records_of_one_schedule_are_paired_by_request() -> None:
    name = RUN.models[0].name
    stage = RUN.models[0].stages[0].stage
    first = [record(i, block=i % 5, model=name, stage=stage, gap=10 + i) for i in range(20)]
    second = [record(i, block=i % 5, model=name, stage=stage, gap=20 + 2 * i) for i in range(20)]
    changes = compare_runs(RUN, RUN, (first, second)).changes
    [tpot] = [c for c in changes if c.paired and c.metric == "tpot"]
    assert tpot.change.value == pytest.approx(2)
    assert tpot.change.high == pytest.approx(2)
