import pytest

from sizeup_inference.requests.keep_alive import Residence


def test_a_model_never_used_counts_from_becoming_ready() -> None:
    assert Residence(300.0, now=1000.0).expires_at(now=1001.0) == 1300.0


@pytest.mark.parametrize("seconds", [None, -1.0, -300.0, 1e300])
def test_for_ever_has_no_end(seconds: float | None) -> None:
    assert Residence(seconds, now=1000.0).expires_at(now=2000.0) is None


def test_zero_expires_as_soon_as_it_is_idle() -> None:
    residence = Residence(0.0, now=1000.0)
    residence.begin()
    assert not residence.is_idle
    residence.end(now=1010.0)
    assert residence.is_idle
    assert residence.expires_at(now=1010.0) == 1010.0


def test_a_running_request_moves_the_end_and_the_last_one_to_end_fixes_it() -> None:
    residence = Residence(300.0, now=0.0)
    residence.begin()
    residence.begin()
    residence.end(now=100.0)
    assert residence.expires_at(now=5000.0) == 5300.0
    residence.end(now=6000.0)
    assert residence.expires_at(now=6100.0) == 6300.0


def test_the_latest_to_say_so_decides() -> None:
    residence = Residence(300.0, now=0.0)
    residence.keep_alive(-1.0)
    assert residence.expires_at(now=1.0) is None
    residence.keep_alive(10.0)
    assert residence.expires_at(now=1.0) == 10.0


def test_a_use_that_says_nothing_keeps_what_was_said() -> None:
    residence = Residence(300.0, now=0.0)
    residence.keep_alive(10.0)
    residence.begin()
    residence.end(now=50.0)
    assert residence.expires_at(now=50.0) == 60.0
