"""The phases of a run, in order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.execution import ability_phase, capacity_search, suites, warm_up
from sizeup_loadtest.execution.run import Run


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a run."""

    name: str
    run: Callable[[Run], Awaitable[None]]
    enabled: Callable[[Config], bool] = lambda config: True
    sharded: bool = False
    """Whether it runs in several shards; other phases need a single process."""


async def send_plan(run: Run) -> None:
    """Send the segments of the plan in order, as many as the time limit allows."""
    for number, segment in enumerate(run.plan.segments):
        await run.wait_for_slot(number)
        if run.out_of_time():
            return
        await run.load(segment, run.plan.prompts)


PHASES = (
    Phase("check_suites", suites.check_installed, enabled=lambda config: config.lm_eval.enabled),
    Phase("warm_up", warm_up.run, sharded=True),
    Phase("speed", send_plan, sharded=True),
    Phase("capacity", capacity_search.run, enabled=lambda config: config.capacity.enabled),
    Phase("ability", ability_phase.run, enabled=lambda config: config.ability.enabled),
    Phase("suites", suites.run, enabled=lambda config: config.lm_eval.enabled),
)
