"""The budget with a fake clock: servers whose responses take a known time."""

from collections import Counter
from collections.abc import Mapping
from math import ceil

import pytest

from sizeup_loadtest.config import file
from sizeup_loadtest.workload import budget, prompts, schedule
from sizeup_loadtest.workload.budget import Pace
from sizeup_loadtest.workload.schedule import Plan

MINUTES = 10


def plan(models: int) -> Plan:
    config = file.load("choose", models=[f"m{i}" for i in range(models)])
    return schedule.compile_plan(config, prompts.source(config.prompts))


def simulate(
    plan: Plan, alone: Mapping[str, float], growth: float, left: float
) -> tuple[Counter[tuple[str, float]], float]:
    """Return the responses by model and users, and the seconds that the speed phase took.

    A response takes `alone` with one user, and grows with users to the power of `growth`.
    """
    pace, counts, now = Pace(), Counter[tuple[str, float]](), 0.0
    for model, seconds in alone.items():
        pace.learn(model, 1, seconds / 10)  # the warm-up, which is short
    for place, segment in enumerate(plan.segments):
        window = budget.sending_seconds(plan.segments[place:], left - now, pace)
        if window is None:
            continue
        users = segment.stage.level
        response = alone[segment.model] * users**growth
        waves = min(ceil(window / response + 1e-9), ceil(len(segment.requests) / users))
        waves = max(1, waves)
        counts[segment.model, users] += int(waves * users)
        now += waves * response
        pace.learn(segment.model, users, response)
    return counts, now


@pytest.mark.parametrize("models", [1, 3, 5])
@pytest.mark.parametrize("growth", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("alone", [0.05, 1.0, 3.0])
def test_the_time_is_kept_and_every_load_is_measured(
    models: int, growth: float, alone: float
) -> None:
    """Servers that answer 200 tokens in up to 3 seconds, 70 tokens/s."""
    left = MINUTES * 60 * budget.SHARES["speed"]
    speeds = {f"m{i}": alone * (i + 1) / models for i in range(models)}
    counts, seconds = simulate(plan(models), speeds, growth, left)
    assert seconds <= left * 1.1
    assert min(counts[model, 1] for model in speeds) >= 6
    if growth < 1:
        assert {users for _, users in counts} == {1, 4, 16}


@pytest.mark.parametrize("alone", [5.0, 10.0, 20.0, 40.0])
@pytest.mark.parametrize("growth", [0.25, 1.0])
def test_slow_servers_are_asked_less_and_one_user_comes_first(alone: float, growth: float) -> None:
    """Down to 5 tokens/s; the load that is too long to wait for is left out, and time is kept."""
    left = MINUTES * 60 * budget.SHARES["speed"]
    speeds = {"m0": alone / 4, "m1": alone / 2, "m2": alone}
    counts, seconds = simulate(plan(3), speeds, growth, left)
    assert seconds <= left + alone  # one response
    for model in speeds:
        assert counts[model, 1] >= (6 if alone < 20 else 1)


def test_slow_models_do_not_starve_fast_ones() -> None:
    """Two minutes for five models, the slowest of which would take all of the time."""
    speeds = {"m0": 0.45, "m1": 0.85, "m2": 1.25, "m3": 2.85, "m4": 5.65}
    counts, seconds = simulate(plan(5), speeds, 0.25, 120 * budget.SHARES["speed"])
    assert seconds < 60
    assert min(counts[model, 1] for model in ("m0", "m1", "m2", "m3")) >= 6
    assert counts["m4", 1] >= 2


def test_a_fast_server_ends_early_with_all_answers() -> None:
    counts, seconds = simulate(plan(3), {"m0": 0.01, "m1": 0.01, "m2": 0.01}, 0.0, 270)
    assert seconds < 60
    assert counts["m0", 1] == 375


def test_a_phase_leaves_what_it_does_not_use_to_later_ones() -> None:
    assert budget.phase_seconds("speed", ["capacity", "ability"], 600) == pytest.approx(270)
    assert budget.phase_seconds("capacity", ["ability"], 550) == pytest.approx(250)
    assert budget.phase_seconds("ability", [], 100) == 100


def test_the_next_questions_fit_into_the_time_of_all_models() -> None:
    seconds = {"small": 0.5, "large": 1.5}
    assert budget.questions(100, 5, seconds, 80) == (10, ["small", "large"])
    assert budget.questions(100, 1, seconds, 30) == (30, ["small", "large"])
    assert budget.questions(100, 5, {"small": 0, "large": 0}, 80)[0] == 80


def test_a_model_too_slow_for_a_few_questions_is_left_out() -> None:
    assert budget.questions(50, 5, {"small": 1, "large": 30}, 80) == (10, ["small"])
    assert budget.questions(0, 5, {"small": 1}, 80) == (0, [])


def test_an_unmeasured_load_is_estimated_from_the_closest_below() -> None:
    pace = Pace()
    assert pace.expected("m", 1) == 0
    pace.learn("m", 1, 2.0)
    assert pace.expected("m", 16) == pytest.approx(4)
    pace.learn("m", 4, 8.0)
    assert pace.expected("m", 4) == 8
    assert pace.expected("m", 16) == pytest.approx(8 * 4**0.25)
