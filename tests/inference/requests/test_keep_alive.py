import pytest

from sizeup_inference.requests.keep_alive import KeepAlive


def test_an_unused_model_expires_after_becoming_ready() -> None:
    assert KeepAlive(300.0, now=1000.0).expires_at(now=1001.0) == 1300.0


@pytest.mark.parametrize("seconds", [None, -1.0, -300.0, 1e300])
def test_unlimited_never_expires(seconds: float | None) -> None:
    assert KeepAlive(seconds, now=1000.0).expires_at(now=2000.0) is None


def test_zero_expires_as_soon_as_it_is_idle() -> None:
    keep_alive = KeepAlive(0.0, now=1000.0)
    keep_alive.begin_request()
    assert not keep_alive.is_idle
    keep_alive.end_request(now=1010.0)
    assert keep_alive.is_idle
    assert keep_alive.expires_at(now=1010.0) == 1010.0


def test_expiry_advances_while_requests_run_and_is_fixed_by_the_last() -> None:
    keep_alive = KeepAlive(300.0, now=0.0)
    keep_alive.begin_request()
    keep_alive.begin_request()
    keep_alive.end_request(now=100.0)
    assert keep_alive.expires_at(now=5000.0) == 5300.0
    keep_alive.end_request(now=6000.0)
    assert keep_alive.expires_at(now=6100.0) == 6300.0


def test_the_latest_value_applies() -> None:
    keep_alive = KeepAlive(300.0, now=0.0)
    keep_alive.set(-1.0)
    assert keep_alive.expires_at(now=1.0) is None
    keep_alive.set(10.0)
    assert keep_alive.expires_at(now=1.0) == 10.0


def test_a_request_without_a_value_keeps_the_previous_one() -> None:
    keep_alive = KeepAlive(300.0, now=0.0)
    keep_alive.set(10.0)
    keep_alive.begin_request()
    keep_alive.end_request(now=50.0)
    assert keep_alive.expires_at(now=50.0) == 60.0
