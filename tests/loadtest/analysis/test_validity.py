import pytest

from sizeup_loadtest.analysis import validity
from sizeup_loadtest.analysis.validity import MIN_SAMPLES, ClientLag, RequestCount
from sizeup_loadtest.config.schema import RunLimits
from sizeup_loadtest.data.results import Lag, Validity


def lag(p99: float, n: int = MIN_SAMPLES) -> Lag:
    return Lag(n=n, p50=0.0, p99=p99, high=p99)


def evaluated(
    late: ClientLag | None = None,
    counts: dict[str, RequestCount] | None = None,
    paces: dict[str, float] | None = None,
    searched: int = 0,
    unsent: int = 0,
    not_sent: str | None = None,
) -> Validity:
    counts = counts or {"a": RequestCount(100, 5)}
    return validity.evaluate(
        RunLimits(),
        late or ClientLag(send=lag(0.05), loop=lag(0.05)),
        counts,
        invalid=validity.invalid_models(RunLimits(), counts),
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
    result = evaluated(ClientLag(search_send=lag(0.06), search_stages=stages))
    assert result.valid
    assert [("60.0" in w, "70.0" in w) for w in result.warnings] == [(True, False), (False, True)]


def test_unsent_requests_are_a_warning() -> None:
    result = evaluated(unsent=3)
    assert result.valid
    assert len(result.warnings) == 1
