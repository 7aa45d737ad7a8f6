import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from sizeup_inference.engine.protocol import (
    Admitted,
    Cancelled,
    Embedded,
    EngineDeadError,
    EngineEvent,
    EngineRequest,
    Failed,
    Finish,
    Logprobs,
    Pooling,
    PromptLogprobs,
    QueueFullError,
    RequestTooLargeError,
    SamplingParams,
    Token,
    TooManyChoicesError,
)
from sizeup_inference.fake.engine import FakeEngine, FakeLimits, echo

DEADLINE_SECONDS = 10.0
STUCK = FakeLimits(token_seconds=600.0, max_num_seqs=1, max_waiting=1)


class Recorder:
    def __init__(self) -> None:
        self.events: list[EngineEvent] = []
        self._changed = threading.Condition()

    def deliver(self, batch: Sequence[EngineEvent]) -> None:
        with self._changed:
            self.events += batch
            self._changed.notify_all()

    def until(self, *kinds: type[EngineEvent], request_id: str = "r") -> list[EngineEvent]:
        """Wait for an event of these types, or a last token, and return the request's events."""

        def ended() -> bool:
            return any(isinstance(e, kinds) for e in self.of(request_id))

        with self._changed:
            assert self._changed.wait_for(ended, DEADLINE_SECONDS)
            return self.of(request_id)

    def until_finished(self, request_id: str = "r", choices: int = 1) -> list[EngineEvent]:
        def ended() -> bool:
            tokens = [e for e in self.of(request_id) if isinstance(e, Token)]
            return sum(token.finish is not None for token in tokens) == choices

        with self._changed:
            assert self._changed.wait_for(ended, DEADLINE_SECONDS)
            return self.of(request_id)

    def of(self, request_id: str) -> list[EngineEvent]:
        return [event for event in self.events if event.request_id == request_id]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(recorder: Recorder) -> Iterator[FakeEngine]:
    made = FakeEngine(recorder.deliver, FakeLimits())
    yield made
    made.close(DEADLINE_SECONDS)


@pytest.fixture
def stuck(recorder: Recorder) -> Iterator[FakeEngine]:
    made = FakeEngine(recorder.deliver, STUCK)
    yield made
    made.close(DEADLINE_SECONDS)


def request(request_id: str = "r", **changes: object) -> EngineRequest:
    made = EngineRequest(
        request_id, (1, 2, 3), SamplingParams(), max_tokens=10, stop_token_ids=frozenset({9})
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # replace checks the names


def tokens(events: list[EngineEvent], choice: int = 0) -> list[tuple[int, Finish | None]]:
    return [(e.token_id, e.finish) for e in events if isinstance(e, Token) and e.choice == choice]


def test_the_prompt_is_repeated_once(engine: FakeEngine, recorder: Recorder) -> None:
    engine.submit(request())
    events = recorder.until_finished()
    assert isinstance(events[0], Admitted)
    assert tokens(events) == [(1, None), (2, None), (3, None), (9, Finish.STOP)]


def test_max_tokens_ends_a_choice(engine: FakeEngine, recorder: Recorder) -> None:
    engine.submit(request(max_tokens=2))
    assert tokens(recorder.until_finished()) == [(1, None), (2, Finish.LENGTH)]


def test_min_tokens_delays_the_stop(engine: FakeEngine, recorder: Recorder) -> None:
    engine.submit(request(min_tokens=5))
    assert [i for i, _ in tokens(recorder.until_finished())] == [1, 2, 3, 1, 2, 9]


def test_without_stop_tokens_max_tokens_ends_it(engine: FakeEngine, recorder: Recorder) -> None:
    engine.submit(request(stop_token_ids=frozenset(), max_tokens=5))
    assert [i for i, _ in tokens(recorder.until_finished())] == [1, 2, 3, 1, 2]


def test_every_choice_ends(engine: FakeEngine, recorder: Recorder) -> None:
    engine.submit(request(choices=3))
    events = recorder.until_finished(choices=3)
    assert tokens(events, 0) == tokens(events, 1) == tokens(events, 2)
    assert engine.stats().completion_tokens == 12


def test_an_embedding_is_one_event(engine: FakeEngine, recorder: Recorder) -> None:
    engine.submit(request(embed=Pooling.MEAN))
    assert not tokens(recorder.until(Embedded))


def test_prompt_logprobs_come_once_before_the_tokens(
    engine: FakeEngine, recorder: Recorder
) -> None:
    engine.submit(request(choices=2, prompt_logprobs=1))
    events = recorder.until_finished(choices=2)
    (delivered,) = [e for e in events if isinstance(e, PromptLogprobs)]
    assert events.index(delivered) == 1
    assert (delivered.start, delivered.logprobs) == (
        1,
        (Logprobs(-1.0, ((2, -1.0),)), Logprobs(-2.0, ((3, -2.0),))),
    )


def test_a_prompt_of_one_token_has_no_logprobs(engine: FakeEngine, recorder: Recorder) -> None:
    engine.submit(request(prompt_ids=(1,), prompt_logprobs=1))
    assert not [e for e in recorder.until_finished() if isinstance(e, PromptLogprobs)]


def test_cancels_are_confirmed_in_prefill_and_in_the_queue(
    stuck: FakeEngine, recorder: Recorder
) -> None:
    stuck.submit(request("first"))
    recorder.until(Admitted, request_id="first")
    stuck.submit(request("second"))
    stuck.cancel("second")
    assert len(recorder.until(Cancelled, request_id="second")) == 1
    stuck.cancel("first")
    recorder.until(Cancelled, request_id="first")
    assert stuck.stats().pages_used == 0


def test_a_cancel_between_admission_and_the_wait_for_a_step_is_not_lost(
    recorder: Recorder,
) -> None:
    def deliver(batch: Sequence[EngineEvent]) -> None:
        recorder.deliver(batch)
        for event in batch:
            if isinstance(event, Admitted):
                made.cancel(event.request_id)

    made = FakeEngine(deliver, STUCK)
    made.submit(request())
    recorder.until(Cancelled)
    made.close(DEADLINE_SECONDS)


def test_unknown_and_finished_ids_are_ignored(engine: FakeEngine, recorder: Recorder) -> None:
    engine.submit(request())
    recorder.until_finished()
    engine.cancel("r")
    engine.cancel("unknown")
    engine.submit(request("s"))
    recorder.until_finished("s")
    assert not [event for event in recorder.events if isinstance(event, Cancelled)]


def test_the_queue_is_bounded(stuck: FakeEngine, recorder: Recorder) -> None:
    stuck.submit(request("runs"))
    recorder.until(Admitted, request_id="runs")
    stuck.submit(request("waits"))
    with pytest.raises(QueueFullError):
        stuck.submit(request("rejected"))


def test_a_request_larger_than_the_kv_cache_is_rejected(stuck: FakeEngine) -> None:
    with pytest.raises(TooManyChoicesError):
        stuck.submit(request(choices=2))
    with pytest.raises(RequestTooLargeError):
        stuck.submit(request(max_tokens=2**30))


def test_close_fails_running_and_waiting(stuck: FakeEngine, recorder: Recorder) -> None:
    stuck.submit(request("runs"))
    recorder.until(Admitted, request_id="runs")
    stuck.submit(request("waits"))
    stuck.close(DEADLINE_SECONDS)
    assert not stuck.is_alive()
    for request_id in ("runs", "waits"):
        assert isinstance(recorder.of(request_id)[-1], Failed)
    with pytest.raises(EngineDeadError):
        stuck.submit(request("late"))


def test_a_bug_ends_the_engine_and_fails_every_request(recorder: Recorder) -> None:
    def script(requested: EngineRequest, choice: int) -> Iterator[int]:
        yield next(echo(requested, choice))
        raise ValueError("boom")

    engine = FakeEngine(recorder.deliver, FakeLimits(), script)
    engine.submit(request())
    assert isinstance(recorder.until(Failed)[-1], Failed)
    engine.close(DEADLINE_SECONDS)
    assert not engine.is_alive()


def test_tokens_have_the_configured_rate(recorder: Recorder) -> None:
    engine = FakeEngine(recorder.deliver, FakeLimits(token_seconds=0.01))
    begun = time.monotonic()
    engine.submit(request())
    recorder.until_finished()
    engine.close(DEADLINE_SECONDS)
    assert time.monotonic() - begun >= 0.04  # four tokens: a lower bound on any machine


def test_a_second_client_is_next_beside_many_requests_of_another(recorder: Recorder) -> None:
    engine = FakeEngine(recorder.deliver, replace(STUCK, max_waiting=512))
    try:
        for i in range(500):
            engine.submit(request(f"greedy {i}", client="greedy"))
        engine.submit(request("polite", client="polite"))
        engine.cancel("greedy 0")
        recorder.until(Admitted, request_id="polite")
    finally:
        engine.close(DEADLINE_SECONDS)
    admitted = [e.request_id for e in recorder.events if isinstance(e, Admitted)]
    assert admitted == ["greedy 0", "polite"]


def test_requests_of_one_client_are_admitted_in_their_order(recorder: Recorder) -> None:
    engine = FakeEngine(recorder.deliver, FakeLimits(max_num_seqs=2))
    try:
        for i in range(20):
            engine.submit(request(f"r{i}", client="a"))
        recorder.until_finished("r19")
    finally:
        engine.close(DEADLINE_SECONDS)
    admitted = [e.request_id for e in recorder.events if isinstance(e, Admitted)]
    assert admitted == [f"r{i}" for i in range(20)]
