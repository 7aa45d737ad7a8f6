import pytest

from sizeup_telemetry.drain import Drain


def test_begin_drains_without_failing_requests() -> None:
    drain, ended = Drain(), list[str]()
    with drain.guard(lambda: ended.append("x")):
        drain.begin()
    assert (drain.draining, drain.expired, ended) == (True, False, [])


def test_the_deadline_fails_running_requests_only() -> None:
    drain, ended = Drain(), list[str]()
    with drain.guard(lambda: ended.append("over before")):
        pass
    with drain.guard(lambda: ended.append("one")), drain.guard(lambda: ended.append("two")):
        drain.expire()
    assert sorted(ended) == ["one", "two"]
    assert drain.draining
    assert drain.expired


def test_a_request_after_the_deadline_fails_at_once() -> None:
    drain, ended = Drain(), list[str]()
    drain.expire()
    with drain.guard(lambda: ended.append("late")):
        assert ended == ["late"]


def test_a_guard_is_released_when_the_block_fails() -> None:
    drain, ended = Drain(), list[str]()

    def fail() -> None:
        with drain.guard(lambda: ended.append("x")):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    drain.expire()
    assert ended == []


def test_a_callback_may_release_other_guards() -> None:
    drain, ended = Drain(), list[str]()
    with drain.guard(lambda: ended.append("outer")):
        inner = drain.guard(lambda: ended.append("inner"))
        inner.__enter__()

        def release_inner() -> None:
            inner.__exit__(None, None, None)

        with drain.guard(release_inner):
            drain.expire()
    assert "outer" in ended
