from dataclasses import replace

import pytest

from loadtest import sample_results as sample
from loadtest.recording import failed, record
from sizeup_loadtest.analysis import validity
from sizeup_loadtest.analysis.stages.latency import stage_result
from sizeup_loadtest.analysis.validity import MIN_SAMPLES, ClientLag, RequestCount
from sizeup_loadtest.config.schema import RunLimits, Slo
from sizeup_loadtest.data.record import Outcome
from sizeup_loadtest.data.results import Lag, Validity
from sizeup_loadtest.workload.schedule import Stage


def lag(p99: float, n: int = MIN_SAMPLES) -> Lag:
    return Lag(n=n, p50=0.0, p99=p99, high=p99)


def evaluated(
    late: ClientLag | None = None,
    counts: dict[str, RequestCount] | None = None,
    paces: dict[str, float] | None = None,
    searched: int = 0,
    unsent: int = 0,
    not_sent: str | None = None,
    search: ClientLag | None = None,
) -> Validity:
    counts = counts or {"a": RequestCount(100, 5)}
    return validity.evaluate(
        RunLimits(),
        late or ClientLag(send=lag(0.05), loop=lag(0.05)),
        counts,
        search=search or ClientLag(),
        invalid={
            name: reason
            for name, count in counts.items()
            if (reason := validity.invalid_model(RunLimits(), count, ()))
        },
        paces=paces or {},
        searched=searched,
        unsent=unsent,
        not_sent=not_sent,
    )


def test_a_run_within_its_limits_is_valid() -> None:
    result = evaluated()
    assert (result.valid, result.reasons, result.warnings) == (True, (), ())
    assert result.error_share == 0.05


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (evaluated(ClientLag(send=lag(0.06))), "60.0 ms"),
        (evaluated(ClientLag(loop=lag(0.06))), "60.0 ms"),
        (evaluated(ClientLag(stages={"x": lag(0.01), "y": lag(0.06)})), "y: "),
        (evaluated(counts={"a": RequestCount(100, 6)}), "6 of 100"),
        (evaluated(counts={"a": RequestCount(0, 0)}), "no request"),
        (evaluated(not_sent="Too many open files"), "Too many open files"),
    ],
)
def test_each_limit_alone_makes_a_run_invalid(result: Validity, word: str) -> None:
    assert not result.valid
    assert len(result.reasons) == 1
    assert word in result.reasons[0]


def test_the_worst_stage_is_named() -> None:
    result = evaluated(ClientLag(loop=lag(0.001), stages={"x": lag(0.01), "y": lag(0.02)}))
    assert (result.worst_stage, result.worst_stage_lag) == ("y", lag(0.02))


def test_a_stage_with_too_few_samples_is_not_evaluated() -> None:
    result = evaluated(ClientLag(stages={"x": lag(0.06, n=MIN_SAMPLES - 1)}))
    assert (result.valid, result.worst_stage) == (True, None)


def test_one_invalid_model_leaves_the_run_valid() -> None:
    result = evaluated(counts={"a": RequestCount(100, 90), "b": RequestCount(100, 0)})
    assert result.valid
    assert len(result.warnings) == 1
    assert result.error_share == 0.45


def test_errors_are_counted_by_model() -> None:
    result = evaluated(counts={"a": RequestCount(100, 6), "b": RequestCount(900, 0)})
    assert result.warnings[0].startswith("a is invalid")


def test_a_run_without_valid_models_is_invalid() -> None:
    result = evaluated(counts={"a": RequestCount(10, 9), "b": RequestCount(10, 8)})
    assert [reason[:2] for reason in result.reasons] == ["a ", "b "]
    assert result.warnings == ()


def test_lag_above_tpot_is_a_warning() -> None:
    late = ClientLag(stages={"x": lag(0.004), "y": lag(0.008), "z": lag(0.002)})
    result = evaluated(late, paces={"x": 0.003, "y": 0.004, "z": 0.003})
    assert result.valid
    (warning,) = result.warnings
    assert warning.startswith("y: ")
    assert "(4.0 ms)" in warning
    assert evaluated(late, paces={"z": 0.003}).warnings == ()


def test_a_capacity_search_alone_is_a_run() -> None:
    result = evaluated(counts={"a": RequestCount(0, 0)}, searched=100)
    assert (result.valid, result.error_share) == (True, 0.0)


def test_client_lag_in_the_capacity_search_is_a_warning() -> None:
    stages = {"capacity-64": lag(0.07)}
    result = evaluated(search=ClientLag(send=lag(0.06), stages=stages))
    assert result.valid
    assert [("60.0" in w, "70.0" in w) for w in result.warnings] == [(True, False), (False, True)]


@pytest.mark.parametrize(("cached", "warnings"), [(3, 0), (12, 1)])
def test_a_few_cached_prompts_are_no_warning(cached: int, warnings: int) -> None:
    model = sample.model(sample.SIZES[0])
    stage = model.stages[0].model_copy(update={"n": 100, "cached_prompts": cached})
    models = [model.model_copy(update={"stages": (stage,)})]
    assert len(list(validity.stage_warnings(models))) == warnings
    assert not list(validity.stage_warnings(models, shares_prefixes=True))


def test_unsent_requests_are_a_warning() -> None:
    result = evaluated(unsent=3)
    assert result.valid
    assert len(result.warnings) == 1


def test_the_most_frequent_cause_stands_beside_the_count() -> None:
    errors = [*["refused"] * 4, *["reset"] * 2]
    records = [replace(failed(record(i), Outcome.BUSY), error=e) for i, e in enumerate(errors)]
    reason = validity.too_many_errors(RunLimits(), validity.count([*records, record(9)]))
    assert reason is not None
    assert reason.startswith("6 of 7")
    assert reason.endswith("refused (4)")


def test_a_model_with_a_valid_stage_is_valid() -> None:
    good = stage_result(Stage("s", "closed", 1, "fixed"), [record()], Slo())
    bad = good.model_copy(update={"invalid_reason": "9 of 10 requests failed"})
    counts = RequestCount(20, 9)
    assert validity.invalid_model(RunLimits(), counts, [good, bad]) is None
    assert validity.invalid_model(RunLimits(), counts, [bad, bad]) is not None


def test_the_wait_of_a_refused_user_is_not_the_clients_delay() -> None:
    made = record(late=1000)
    planned = replace(made.planned, offset_ns=0)
    lag = validity.send_lag([replace(made, planned=planned, waited_ns=990_000_000)])
    assert lag is not None
    assert lag.high == pytest.approx(0.01)
