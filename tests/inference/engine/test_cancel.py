"""Cancelled requests end once, before the next step, and release everything."""

import random
import threading
import time
import tracemalloc
from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel

from inference.engine.engines import EngineOptions, Harness, request, running_engine
from inference.small_model import small_pooled_model
from sizeup_inference.engine.protocol import Admitted, Cancelled, EngineEvent, Pooling, Token

torch.set_num_threads(1)

LONG = 400
"""Output tokens of a request that outlasts its test."""


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return small_pooled_model()


def test_cancelled_while_decoding_frees_its_pages_before_the_next_step(
    model: PreTrainedModel,
) -> None:
    with running_engine(model) as harness:
        harness.engine.submit(request("a", [1, 2, 3], LONG))
        harness.recorder.wait(lambda: len(harness.recorder.events["a"]) > 3)
        with harness.runner.closed():
            harness.runner.wait_held()
            before = len(harness.recorder.events["a"])
            harness.engine.cancel("a")
        harness.recorder.wait_ended(["a"])
        events = harness.recorder.events["a"]
        assert isinstance(events[-1], Cancelled)
        assert len(events) <= before + 2, "the token of the step that ran, then the end"
        harness.assert_settled()


def test_cancelled_during_prefill(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(chunk=2)) as harness:
        with harness.runner.closed():
            harness.engine.submit(request("a", range(60), 5))
            harness.runner.wait_held()
            harness.engine.cancel("a")
        harness.recorder.wait_ended(["a"])
        assert [type(e) for e in harness.recorder.events["a"]] == [Admitted, Cancelled]
        harness.assert_settled()


def test_pages_are_free_when_the_terminal_event_is_delivered(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        used: list[int] = []

        def record_pages(events: Sequence[EngineEvent]) -> None:
            used.extend(harness.engine.stats().pages_used for e in events if is_terminal(e))

        harness.recorder.on_events = record_pages
        harness.engine.submit(request("cancelled", [1, 2, 3], LONG))
        harness.recorder.wait(lambda: len(harness.recorder.events["cancelled"]) > 3)
        cancel_and_check(harness, "cancelled")
        harness.run([request("finished", [1, 2, 3], 3)])
    assert used == [0, 0]


def is_terminal(event: EngineEvent) -> bool:
    return isinstance(event, Cancelled) or (isinstance(event, Token) and event.finish is not None)


def test_cancelled_while_waiting_is_never_admitted(model: PreTrainedModel) -> None:
    with running_engine(model, EngineOptions(max_num_seqs=1)) as harness:
        harness.engine.submit(request("running", [1], LONG))
        harness.engine.submit(request("waiting", [1], 5))
        harness.recorder.wait(lambda: len(harness.recorder.events["running"]) > 2)
        cancel_and_check(harness, "waiting")
        assert len(harness.recorder.events["waiting"]) == 1
        cancel_and_check(harness, "running")
        harness.assert_settled()


def test_cancelled_right_after_it_was_submitted(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        for i in range(50):
            harness.engine.submit(request(f"r{i}", [1, 2], LONG, choices=2))
            harness.engine.cancel(f"r{i}")
        harness.recorder.wait_ended([f"r{i}" for i in range(50)])
        assert all(harness.recorder.ended(f"r{i}") == 1 for i in range(50))
        harness.assert_settled()


def test_cancelling_unknown_and_finished_ids_is_a_no_op(model: PreTrainedModel) -> None:
    with running_engine(model) as harness:
        harness.engine.cancel("unknown")
        harness.run([request("a", [1], 2)])
        harness.engine.cancel("a")
        harness.run([request("b", [1], 2)])
        assert harness.recorder.ended("a") == 1
        assert harness.recorder.events["unknown"] == []


def cancel_and_check(harness: Harness, name: str) -> None:
    harness.engine.cancel(name)
    harness.recorder.wait_ended([name])
    assert isinstance(harness.recorder.events[name][-1], Cancelled)


def test_500_requests_cancelled_at_random_leave_nothing(model: PreTrainedModel) -> None:
    options = EngineOptions(max_num_seqs=16, max_waiting=16, pages=60, chunk=7)
    with running_engine(model, options) as harness:
        rng = random.Random(5)
        cancel_many(harness, rng, "warm", 50)
        harness.assert_settled()
        threads = threading.active_count()
        tracemalloc.start()
        try:
            cancel_many(harness, rng, "first", 250)
            before = tracemalloc.get_traced_memory()[0]
            cancel_many(harness, rng, "second", 250)
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        harness.assert_settled()
        assert threading.active_count() == threads
        # A sequence with its tokens and generator takes 4 kB, so leaking one in ten would show.
        assert grown < 100_000


def cancel_many(harness: Harness, rng: random.Random, name: str, count: int) -> None:
    """Submit and cancel `count` requests, at most 24 at once, and drop what was recorded."""
    alive: list[str] = []
    for i in range(count):
        made = request(f"{name}{i}", range(rng.randint(1, 40)), rng.randint(1, 60))
        embedding = request(made.id, made.prompt_ids, embed=Pooling.MEAN)
        harness.engine.submit(rng.choice((made, made, embedding)))
        alive.append(made.id)
        if rng.random() < 0.3:
            wait_for_a_step(harness)
        while len(alive) >= 24 or (alive and rng.random() < 0.4):
            doomed = alive.pop(rng.randrange(len(alive)))
            harness.engine.cancel(doomed)
            harness.recorder.wait_ended([doomed])
    for doomed in alive:
        harness.engine.cancel(doomed)
    harness.recorder.wait_ended(alive)
    assert {harness.recorder.ended(f"{name}{i}") for i in range(count)} == {1}
    harness.recorder.events.clear()
    harness.recorder.batches.clear()


def wait_for_a_step(harness: Harness) -> None:
    """Wait for the next step, unless the engine is idle."""
    steps, deadline = harness.engine.stats().steps, time.monotonic() + 0.05
    while harness.engine.stats().steps == steps and time.monotonic() < deadline:
        time.sleep(0.001)
