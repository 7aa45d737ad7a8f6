"""What makes a run's figures worthless, and what makes one size's."""

import pytest

from sizeup_loadtest.analysis import validity
from sizeup_loadtest.analysis.validity import ENOUGH, Count, Lateness
from sizeup_loadtest.config.schema import RunLimits
from sizeup_loadtest.data.results import Lag, Validity


def lag(p99: float, n: int = ENOUGH) -> Lag:
    return Lag(n=n, p50=0.0, p99=p99, high=p99)


def judged(
    late: Lateness | None = None,
    counts: dict[str, Count] | None = None,
    paces: dict[str, float] | None = None,
    searched: int = 0,
    unsent: int = 0,
) -> Validity:
    counts = counts or {"a": Count(100, 5)}
    return validity.judge(
        RunLimits(),
        late or Lateness(send=lag(0.05), loop=lag(0.05)),
        counts,
        broken=validity.broken(RunLimits(), counts),
        paces=paces or {},
        searched=searched,
        unsent=unsent,
    )


def test_a_run_within_its_limits_is_valid() -> None:
    good = judged()
    assert (good.valid, good.reasons, good.warnings, good.error_share) == (True, (), (), 0.05)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (judged(Lateness(send=lag(0.06))), "sent 60.0 ms late"),
        (judged(Lateness(loop=lag(0.06))), "event loop woke 60.0 ms late"),
        (
            judged(Lateness(stages={"x": lag(0.01), "y": lag(0.06)})),
            "in y, the client's event loop",
        ),
        (judged(counts={"a": Count(100, 6)}), "a is broken: 6 of 100"),
        (judged(counts={"a": Count(0, 0)}), "no request"),
    ],
)
def test_each_limit_alone_makes_it_invalid(found: Validity, word: str) -> None:
    assert not found.valid
    assert len(found.reasons) == 1
    assert word in found.reasons[0]


def test_the_worst_stage_is_named() -> None:
    found = judged(Lateness(loop=lag(0.001), stages={"x": lag(0.01), "y": lag(0.02)}))
    assert (found.worst_stage, found.worst_stage_lag) == ("y", lag(0.02))


def test_a_stage_too_short_for_a_p99_is_not_judged() -> None:
    found = judged(Lateness(stages={"x": lag(0.06, n=ENOUGH - 1)}))
    assert (found.valid, found.worst_stage) == (True, None)


def test_one_broken_size_does_not_cost_the_others_figures() -> None:
    found = judged(counts={"a": Count(100, 90), "b": Count(100, 0)})
    assert found.valid
    assert found.warnings == ("a is broken: 90 of 100 requests failed (limit 5%)",)
    assert found.error_share == 0.45


def test_a_share_that_many_good_requests_would_hide_is_found() -> None:
    assert "a is broken" in judged(counts={"a": Count(100, 6), "b": Count(900, 0)}).warnings[0]


def test_all_sizes_broken_make_it_invalid() -> None:
    found = judged(counts={"a": Count(10, 9), "b": Count(10, 8)})
    assert [reason[:11] for reason in found.reasons] == ["a is broken", "b is broken"]
    assert found.warnings == ()


def test_lateness_longer_than_a_token_is_a_warning() -> None:
    late = Lateness(stages={"x": lag(0.004), "y": lag(0.008), "z": lag(0.002)})
    found = judged(late, paces={"x": 0.003, "y": 0.004, "z": 0.003})
    assert found.valid
    (told,) = found.warnings
    assert told.startswith("in y, the client's event loop woke 8.0 ms late at p99")
    assert "(4.0 ms)" in told
    assert judged(late, paces={"z": 0.003}).warnings == ()


def test_a_search_for_capacity_alone_is_a_run() -> None:
    found = judged(counts={"a": Count(0, 0)}, searched=100)
    assert (found.valid, found.error_share) == (True, 0.0)


def test_a_search_whose_client_was_late_is_a_warning() -> None:
    found = judged(Lateness(search_send=lag(0.06), search_stages={"capacity-64": lag(0.07)}))
    assert found.valid
    assert found.warnings == (
        "in the search for capacity, requests were sent 60.0 ms late at p99 (limit 50 ms)",
        "in capacity-64, the client's event loop woke 70.0 ms late at p99 (limit 50 ms)",
    )


def test_what_was_not_sent_is_a_warning() -> None:
    found = judged(unsent=3)
    assert found.valid
    assert found.warnings == ("3 planned requests were not sent: their time was over",)
