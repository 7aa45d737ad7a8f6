"""What makes a run's figures worthless."""

import pytest

from sizeup_loadtest.config import Limits
from sizeup_loadtest.results import Lag, Validity
from sizeup_loadtest.validity import judge


def lag(p99: float) -> Lag:
    return Lag(n=100, p50=0.0, p99=p99, high=p99)


def judged(
    send: float = 0,
    loop: float = 0,
    errors: int = 0,
    sent: int = 100,
    unsent: int = 0,
    searched: int = 0,
) -> Validity:
    counts = {"errors": errors, "sent": sent, "unsent": unsent, "searched": searched}
    return judge(Limits(), send=lag(send), loop=lag(loop), **counts)  # type: ignore[arg-type]


def test_a_run_within_its_limits_is_valid() -> None:
    good = judged(0.05, 0.05, errors=5)
    assert (good.valid, good.reasons, good.warnings, good.error_share) == (True, (), (), 0.05)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (judged(send=0.06), "sent 60.0 ms late"),
        (judged(loop=0.06), "event loop woke 60.0 ms late"),
        (judged(errors=6), "6 of 100"),
        (judged(sent=0), "no request"),
    ],
)
def test_each_limit_alone_makes_it_invalid(found: Validity, word: str) -> None:
    assert not found.valid
    assert len(found.reasons) == 1
    assert word in found.reasons[0]


def test_a_search_for_capacity_alone_is_a_run() -> None:
    found = judged(sent=0, searched=100)
    assert (found.valid, found.error_share) == (True, 0.0)


def test_a_search_that_was_sent_late_is_a_warning() -> None:
    found = judge(
        Limits(),
        send=None,
        loop=None,
        errors=0,
        sent=9,
        unsent=0,
        searched=9,
        search_send=lag(0.06),
    )
    assert found.valid
    assert found.warnings == (
        "in the search for capacity, requests were sent 60.0 ms late at p99 (limit 50 ms)",
    )


def test_what_was_not_sent_is_a_warning() -> None:
    found = judged(unsent=3)
    assert found.valid
    assert "3 planned requests" in found.warnings[0]


def test_what_was_not_measured_is_no_reason() -> None:
    found = judge(Limits(), send=None, loop=None, errors=0, sent=1, unsent=0, warnings=["w"])
    assert (found.valid, found.warnings) == (True, ("w",))
