import re

import pytest

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.execution.progress import estimate
from sizeup_loadtest.workload import prompts, schedule

LOAD = {"blocks": 1, "closed": [1], "requests_per_block": 4}


def parts(**config: object) -> tuple[list[estimate.Part], Config]:
    given = {"models": ["a", "b"], "length": "fixed", "max_tokens": 30, "load": LOAD, **config}
    made = Config.model_validate(given)
    plan = schedule.compile_plan(made, prompts.source(made.prompts))
    return estimate.parts(made, plan, tok_s=30), made


def test_the_duration_of_a_plan() -> None:
    found, config = parts()
    assert [(part.name, part.seconds) for part in found] == [("closed-1-fixed", 8.0)]
    assert "about 0.1 minutes" in estimate.total(found, 30, config)


@pytest.mark.parametrize(
    ("options", "loads"),
    [
        ({"mode": "closed", "max": 64}, 7 + 4),  # 1, 2, ..., 64, and 48, 40, 36, 34
        ({"mode": "closed", "max": 8}, 4 + 2),  # 1, 2, 4, 8, and 6, 7
        ({"mode": "closed", "max": 1}, 1),
        ({"mode": "open", "max": 16}, 5 + 4),
    ],
)
def test_the_capacity_search_is_included(options: dict[str, object], loads: int) -> None:
    found, _ = parts(capacity={"enabled": True, "seconds": 9, **options})
    assert found[-1].name == "capacity"
    assert found[-1].seconds == 2 * loads * (9 + 1)


def test_preload_requests_are_counted_apart() -> None:
    """A model that ran just before needs no preload."""
    load = {"blocks": 2, "closed": [1], "requests_per_block": 4}
    for models, counts in (
        (["a"], ["8"]),
        (["a", "b"], ["16", "3"]),
    ):
        config = Config.model_validate({"models": models, "length": "fixed", "load": load})
        plan = schedule.compile_plan(config, prompts.source(config.prompts))
        text, _, digest = estimate.summary(plan).rpartition(" ")
        assert re.findall(r"\d+", text.removesuffix("sha256")) == counts
        assert digest == plan.sha256


def test_the_ability_phase_is_included() -> None:
    options = {"kinds": ["addition"], "levels": [3], "items": 12}
    found, _ = parts(ability={"enabled": True, "concurrency": 4, "max_tokens": 60, **options})
    assert (found[-1].requests, found[-1].max_tokens) == (24, 24 * 60)
    assert found[-1].seconds == 24 * 60 / 30 / 4


def test_a_run_above_its_time_limit_is_reported() -> None:
    """Because of the capacity search: the plan alone would fit."""
    limits = {"max_minutes": 1}
    found, config = parts(limits=limits)
    assert "max_minutes" not in estimate.total(found, 30, config)
    found, config = parts(limits=limits, capacity={"enabled": True})
    assert "max_minutes (1)" in estimate.total(found, 30, config)
