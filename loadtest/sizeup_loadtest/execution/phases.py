"""The phases of a run, in order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sizeup_loadtest import formatting
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.execution import ability_phase, capacity_search, lm_eval, warm_up
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.workload import budget


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    run: Callable[[Run], Awaitable[None]]
    enabled: Callable[[Config], bool] = lambda config: True


async def send_plan(run: Run) -> None:
    """Send the segments of the plan in order, as many as the time limit allows."""
    for segment in run.plan.segments:
        if run.out_of_time():
            return
        await run.load(segment, run.plan.prompts)


async def send_within_budget(run: Run) -> None:
    """Send what the time of the phase allows, and note the loads that were left out."""
    segments = run.plan.segments
    for place, segment in enumerate(segments):
        seconds = budget.sending_seconds(segments[place:], run.seconds_left, run.pace)
        if seconds is not None:
            limited = replace(segment, seconds=min(seconds, segment.seconds or seconds))
            records = await run.load(limited, run.plan.prompts)
            run.answered.setdefault((segment.model, segment.stage), []).extend(records)
    for stage in run.plan.stages:
        left_out = [model for model in run.models if not run.answered.get((model, stage))]
        if left_out:
            load = formatting.stage_key(stage.key)
            run.notes.append(f"{load}: no time to measure {', '.join(left_out)}")


async def speed(run: Run) -> None:
    await (send_within_budget if run.has_budget else send_plan)(run)


PHASES = (
    Phase("check_suites", lm_eval.check_installed, enabled=lambda config: config.lm_eval.enabled),
    Phase("warm_up", warm_up.run),
    Phase("speed", speed),
    Phase("ability", ability_phase.run, enabled=lambda config: config.ability.enabled),
    # Later than what has a known end, because it can use all time that is left.
    Phase("capacity", capacity_search.run, enabled=lambda config: config.capacity.enabled),
    Phase("suites", lm_eval.run, enabled=lambda config: config.lm_eval.enabled),
)
