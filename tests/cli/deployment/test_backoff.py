from sizeup.deployment.backoff import History, Policy, next_start

POLICY = Policy(first_seconds=0.5, longest_seconds=30.0, steady_seconds=10.0, attempts=5)


def after_exits(history: History, count: int, now: float = 0.0) -> History:
    for _ in range(count):
        history = history.after_exit(now, POLICY)
    return history


def test_waits_double_up_to_the_maximum() -> None:
    exits = [History(failures, ever_ready=True) for failures in range(1, 10)]
    waits = [next_start(history, POLICY) for history in exits]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_many_failures_do_not_overflow() -> None:
    assert next_start(History(100_000, ever_ready=True), POLICY) == 30.0


def test_a_child_that_was_never_ready_is_given_up_after_its_attempts() -> None:
    assert next_start(after_exits(History(), 4), POLICY) == 4.0
    assert next_start(after_exits(History(), 5), POLICY) is None


def test_a_child_that_was_ready_once_is_never_given_up() -> None:
    history = after_exits(History().after_ready(0.0), 50, now=1.0)
    assert next_start(history, POLICY) == 30.0


def test_a_steady_time_resets_the_backoff() -> None:
    history = after_exits(History().after_ready(0.0), 4, now=1.0)
    assert next_start(history, POLICY) == 4.0
    steady = history.after_ready(100.0).after_exit(110.0, POLICY)
    assert next_start(steady, POLICY) == 0.5


def test_a_short_ready_time_does_not_reset_the_backoff() -> None:
    history = History()
    waits = []
    for start in range(4):
        history = history.after_ready(start * 10.0).after_exit(start * 10.0 + 9.9, POLICY)
        waits.append(next_start(history, POLICY))
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_an_earlier_process_does_not_count_as_steady() -> None:
    history = History().after_ready(0.0).after_exit(1.0, POLICY)
    assert next_start(history.after_exit(1000.0, POLICY), POLICY) == 1.0
