from collections import Counter
from itertools import groupby, pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import arrivals, prompts, schedule
from sizeup_loadtest.workload.schedule import Plan, share


def config(**changes: Any) -> Config:
    load = {"closed": [1, 4], "open": {"rates": [2.5]}, "blocks": 4} | changes.pop("load", {})
    return Config.model_validate({"models": ["a", "b", "c"], "load": load, **changes})


def plan(**changes: Any) -> Plan:
    made = config(**changes)
    return schedule.compile_plan(made, prompts.source(made.prompts))


def test_the_same_config_has_the_same_hash() -> None:
    assert plan() == plan()
    assert plan(target={"url": "http://elsewhere:1"}).sha256 == plan().sha256


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": {"seed": 8}},
        {"max_tokens": 7},
        {"max_tokens": {"mean": 128, "stdev": 20}},
        {"prompts": {"shared_prefix": {"words": 9}}},
        {"prompts": {"turns": 2}},
        {"prompts": {"turns": 2, "think_seconds": 1}},
        {"models": ["a", "b"]},
        {"models": ["b", "a", "c"]},
        {"load": {"blocks": 3}},
        {"load": {"warmup": 1}},
        {"load": {"open": {"rates": [2.5], "arrival": "constant"}}},
        {"load": {"stage_seconds": 3}},
        {"sampling": {"seed": 9}},
        {"length": "fixed"},
    ],
)
def test_whatever_changes_the_requests_changes_the_hash(change: dict[str, Any]) -> None:
    assert plan(**change).sha256 != plan().sha256


def test_every_model_gets_the_same_requests() -> None:
    per_model: dict[str, list[object]] = {name: [] for name in "abc"}
    for segment in plan().segments:
        per_model[segment.model] += [
            (segment.stage, r.block, r.index, r.prompt, r.offset_ns, r.length, r.max_tokens)
            for r in segment.requests
        ]
    assert per_model["a"] == per_model["b"] == per_model["c"]


def test_models_alternate_within_a_stage() -> None:
    groups = groupby(plan().segments, key=lambda s: (s.block, s.stage.key))
    for _, segments in groups:
        assert sorted(segment.model for segment in segments) == ["a", "b", "c"]


def test_blocks_are_outermost_and_open_stages_come_last() -> None:
    modes = [segment.stage.mode for segment in plan().segments]
    assert modes == ["closed"] * 48 + ["open"] * 6
    blocks = [segment.block for segment in plan().segments[:48]]
    assert blocks == sorted(blocks)


def test_an_open_stage_is_planned_for_as_long_as_it_may_take() -> None:
    made = plan(load={"open": {"rates": [2], "seconds": 20, "max_seconds": 100}}, length="fixed")
    segment = made.segments[-1]
    assert segment.seconds == 100
    assert segment.shortest_seconds == pytest.approx(30)
    due = [(request.offset_ns or 0) / 1e9 for request in segment.requests]
    assert 90 < due[-1] < 100
    assert segment.required == sum(at < 30 for at in due)


def test_every_model_is_at_every_position() -> None:
    orders = [schedule.order("abc", block) for block in range(6)]
    for place in range(3):
        assert Counter(order[place] for order in orders) == {"a": 2, "b": 2, "c": 2}
    assert len({pair for order in orders for pair in pairwise(order)}) == 6


def test_no_prompt_is_repeated() -> None:
    """A repeated prompt would hit the prefix cache."""
    keys = [r.prompt for s in plan().segments if s.model == "a" for r in s.requests]
    keys += [r.prompt for s in plan().warm_up if s.model == "a" for r in s.requests]
    assert len(set(keys)) == len(keys)
    assert {*keys, schedule.PRELOAD.key} == set(plan().prompts)


def test_indices_number_the_requests_of_a_stage() -> None:
    for key in (stage.key for stage in plan().stages):
        mine = [s for s in plan().segments if s.stage.key == key and s.model == "b"]
        indices = [r.index for s in mine for r in s.requests]
        assert indices == list(range(len(indices)))


@pytest.mark.parametrize(("users", "counted"), [(1, 8), (2, 8), (8, 8), (20, 20)])
def test_a_closed_loop_has_a_ramp_on_both_sides(users: int, counted: int) -> None:
    """Ramp-up and ramp-down, with at least one request per worker between them."""
    made = plan(load={"closed": [users], "requests_per_block": 8})
    for segment in (s for s in made.segments if s.stage.mode == "closed"):
        edges = [r.ramp for r in segment.requests]
        outer = [True] * (users - 1)
        assert edges == [*outer, *[False] * counted, *outer]


def test_an_open_loop_has_no_ramp() -> None:
    made = [s for s in plan().segments if s.stage.mode == "open"]
    assert not any(r.ramp for s in made for r in s.requests)


def test_a_model_is_preloaded_after_another_one() -> None:
    segments = plan().segments
    before: str | None = None
    for segment in segments:
        assert (segment.preload is not None) == (segment.model != before)
        before = segment.model
        if segment.preload is not None:
            assert (segment.preload.model, segment.preload.warm_up) == (segment.model, True)
    assert plan().requests == sum(s.required for s in segments)
    assert not any(s.preload for s in plan(models=["a"]).segments)


def test_warm_up_is_marked_and_separate() -> None:
    made = plan(load={"warmup": 3})
    assert [s.model for s in made.warm_up] == ["a", "b", "c"]
    assert all(r.warm_up for s in made.warm_up for r in s.requests)
    assert not any(r.warm_up for s in made.segments for r in s.requests)
    assert made.requests == sum(s.required for s in made.segments)


def test_a_warm_up_is_short_where_time_is_limited() -> None:
    limited = plan(limits={"budget_minutes": 10})
    assert {r.max_tokens for s in limited.warm_up for r in s.requests} == {16}
    assert all(r.max_tokens > 16 for s in plan().warm_up for r in s.requests)


def test_prompt_lengths_are_stages() -> None:
    made = plan(prompts={"set": "text", "words": [1, 50]}, length="fixed", load={"closed": [1]})
    keys = {stage.key for stage in made.stages}
    assert {"closed-1-fixed-in1", "closed-1-fixed-in50"} < keys
    for segment in made.segments:
        for request in segment.requests:
            content = made.prompts[request.prompt].messages[0].content
            assert len(content.split()) == segment.stage.words


def test_a_plan_above_its_limit_is_rejected() -> None:
    with pytest.raises(ConfigError, match="max_requests"):
        plan(limits={"max_requests": 100})


def test_a_duplicate_stage_is_rejected() -> None:
    with pytest.raises(ConfigError, match="duplicate"):
        plan(load={"closed": [2, 2]})


def test_shares_of_workers_add_up_to_the_plan() -> None:
    for segment in plan().segments:
        shares = [share(segment, i, 3) for i in range(3)]
        together = sorted((r for part in shares for r in part.requests), key=lambda r: r.index)
        assert tuple(together) == segment.requests
        if segment.stage.mode == "closed":
            assert sum(part.stage.level for part in shares) == segment.stage.level


def test_a_worker_without_a_user_sends_nothing() -> None:
    one = next(s for s in plan().segments if s.stage.level == 1)
    assert share(one, 0, 2).requests == one.requests
    assert share(one, 1, 2).requests == ()


def test_constant_arrivals_are_evenly_spaced() -> None:
    assert arrivals.offsets("constant", 4, 0.7, "x") == (0, 250_000_000, 500_000_000)
    assert arrivals.offsets("constant", 0.1, 1, "x") == (0,)


def test_poisson_arrivals_are_poisson() -> None:
    """Gaps of mean 1/rate whose deviation equals the mean; 5 sigma of 20,000 gaps is 3.5 %."""
    at = arrivals.offsets("poisson", 100, 200, "x")
    gaps = [(b - a) * 1e-9 for a, b in pairwise((0, *at))]
    mean = fmean(gaps)
    assert mean == pytest.approx(0.01, rel=0.035)
    assert fmean((g - mean) ** 2 for g in gaps) ** 0.5 == pytest.approx(mean, rel=0.07)
    half = arrivals.offsets("poisson", 100, 100, "x")
    assert half == at[: len(half)]
    assert max(half) < 100e9
    assert arrivals.offsets("poisson", 100, 100, "y") != half
    assert len(arrivals.offsets("poisson", 0.1, 1e-9, "x")) == 1


def test_output_lengths_of_a_distribution_are_the_same_for_every_model() -> None:
    made = plan(max_tokens={"distribution": "uniform", "min": 5, "max": 50})
    by_model: dict[str, list[int]] = {}
    for segment in made.segments:
        by_model.setdefault(segment.model, []).extend(r.max_tokens for r in segment.requests)
    assert by_model["a"] == by_model["b"] == by_model["c"]
    assert (min(by_model["a"]), max(by_model["a"])) == (5, 50)


CONVERSATIONS = {"set": "chat-short", "turns": 3, "think_seconds": 2}


def test_users_of_a_closed_loop_hold_whole_conversations() -> None:
    made = plan(prompts=CONVERSATIONS, load={"open": {}, "closed": [4]})
    keys = [r.prompt for s in made.segments if s.model == "a" for r in s.requests]
    assert len(set(keys)) == len(keys)
    for segment in made.segments:
        groups = schedule.by_conversation(segment.requests)
        assert all([r.turn for r in group] == [0, 1, 2] for group in groups)
        assert len(groups) % 4 == 0
        # as users who start together send them
        assert [r.turn for r in segment.requests[:12]] == [0] * 4 + [1] * 4 + [2] * 4
        assert segment.think_seconds == 0


def test_arrivals_of_an_open_loop_start_conversations_at_a_third_of_the_rate() -> None:
    load = {"closed": [], "open": {"rates": [6.0], "arrival": "constant"}, "blocks": 1}
    segment = plan(prompts=CONVERSATIONS, load=load).segments[0]
    starts = [r.offset_ns for r in segment.requests if r.turn == 0]
    assert starts[:4] == [0, 500_000_000, 1_000_000_000, 1_500_000_000]
    assert all(
        {r.offset_ns for r in group} == {group[0].offset_ns}
        for group in schedule.by_conversation(segment.requests)
    )
    assert segment.think_seconds == 2


def test_workers_share_conversations() -> None:
    made = plan(prompts=CONVERSATIONS, load={"closed": [4]})
    for segment in made.segments:
        parts = [share(segment, i, 3).requests for i in range(3)]
        held = [{r.conversation for r in part} for part in parts]
        assert sum(map(len, parts)) == len(segment.requests)
        assert sum(map(len, held)) == len({r.conversation for r in segment.requests})


def traced(folder: Path, requests: int, **changes: object) -> Plan:
    rows = "".join(f"{0.1 * i},{13 * (i + 1)},{i + 1}\n" for i in range(requests))
    file = folder / "t.csv"
    file.write_text(f"seconds,prompt_tokens,completion_tokens\n{rows}")
    trace = {"file": str(file), "format": "csv", "speed": 2}
    return plan(load={"closed": [], "open": {}, "blocks": 2, "trace": trace}, **changes)


def test_a_trace_is_sent_once_to_every_model(tmp_path: Path) -> None:
    made = traced(tmp_path, 3)
    assert [stage.key for stage in made.stages] == ["trace-fixed", "trace-until_eos"]
    assert {stage.level for stage in made.stages} == {20.0}
    sent = [
        [(r.index, r.max_tokens, r.offset_ns) for r in segment.requests]
        for segment in made.segments
    ]
    assert sent == [[(0, 1, 0), (1, 2, 50_000_000), (2, 3, 100_000_000)]] * 6
    assert [(s.stage.length, s.model) for s in made.segments[:4]] == [
        ("fixed", "a"),
        ("fixed", "b"),
        ("fixed", "c"),
        ("until_eos", "a"),
    ]
    texts = {p.messages[0].content for p in made.prompts.values()}
    assert len(texts) == len(made.prompts)  # nothing is in a prefix cache


def test_a_trace_is_within_the_limit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="30 requests"):
        traced(tmp_path, 5, limits={"max_requests": 29})
