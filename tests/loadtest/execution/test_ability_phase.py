import asyncio
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.mock import Behaviour, MockModel, MockServer
from sizeup_loadtest.ability.questions import questions
from sizeup_loadtest.config.models import ModelConfig, Target
from sizeup_loadtest.config.schema import (
    Ability,
    Config,
    LoadConfig,
    RunLimits,
)
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record
from sizeup_loadtest.execution import ability_phase
from sizeup_loadtest.execution.phases import PHASES, Phase
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.execution.sending.load_generator import Send
from sizeup_loadtest.execution.start import StoppedError, execute
from sizeup_loadtest.storage.run_folder import AbilityFile, RunFolder
from sizeup_loadtest.workload import prompts, schedule
from sizeup_loadtest.workload.prompt import Prompt
from sizeup_loadtest.workload.schedule import Segment

ABILITY = Ability(enabled=True, kinds=("sorting", "addition"), levels=(2, 3), items=40)


ALONE = [phase for phase in PHASES if phase.name == "ability"]


def measured(
    path: Path, failures: dict[Outcome, float], phases: Sequence[Phase] = ALONE
) -> AbilityFile:
    """Run the phase against two models; the larger is correct wherever the smaller is."""
    items = questions(ABILITY)
    behaviour = Behaviour(
        sizes=tuple(
            MockModel(name, ttft_seconds=0, gap_seconds=0, ability=share)
            for name, share in (("small", 0.3), ("large", 0.8))
        ),
        failures=failures,
        answers={item.messages[0].content: item.expected for item in items},
    )

    async def run() -> None:
        async with MockServer(behaviour) as server:
            config = Config(
                target=Target(url=server.url),
                models=(ModelConfig(name="small"), ModelConfig(name="large")),
                load=LoadConfig(warmup=0),
                ability=ABILITY,
                limits=RunLimits(max_minutes=1),
            )
            plan = schedule.compile_plan(config, prompts.source(config.prompts))
            folder, console = RunFolder.create(path), Console(file=io.StringIO())
            await execute(config, plan, phases, folder, console)

    asyncio.run(run())
    file = RunFolder(path).read_json("ability", AbilityFile)
    assert file is not None
    return file


def test_ability_matches_the_server(tmp_path: Path) -> None:
    found = measured(tmp_path, {})
    small, large = found.results["small"], found.results["large"]
    assert small.overall.n == large.overall.n == 40
    assert 4 <= small.overall.successes <= 20  # 99.9 % of all seeds: binomial with 0.3
    assert 24 <= large.overall.successes <= 39  # and with 0.8
    for result in (small, large):
        assert result.unparsed == result.overall.n - result.overall.successes
        assert result.errors == 0
        assert result.seconds_per_answer is not None
        assert result.seconds_per_answer.low is not None
    (pair,) = found.paired
    assert (pair.a, pair.b, pair.only_a_correct) == ("small", "large", 0)
    assert pair.only_b_correct == large.overall.successes - small.overall.successes


class Stopped(Run):
    """A run that is stopped in its third block, after its first model."""

    async def load(
        self,
        segment: Segment,
        prompts: Mapping[str, Prompt],
        keep_text: Callable[[PlannedRequest], bool] | None = None,
        send: Send | None = None,
    ) -> list[Record]:
        if segment.block == 2 and segment.model == self.models[-1]:
            raise StoppedError("stopped")
        return await super().load(segment, prompts, keep_text, send)


async def stopped(run: Run) -> None:
    await ability_phase.run(Stopped(*(getattr(run, field.name) for field in fields(Run))))


def test_a_stopped_run_keeps_complete_blocks(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        measured(tmp_path, {}, [Phase("ability", stopped)])
    file = RunFolder(tmp_path).read_json("ability", AbilityFile)
    assert file is not None
    assert [found.overall.n for found in file.results.values()] == [16, 16]  # 2 of 5 blocks of 40
    assert len(file.paired) == 1


def test_failed_requests_are_errors_and_not_wrong_answers(tmp_path: Path) -> None:
    found = measured(tmp_path, {Outcome.UNAVAILABLE: 0.5})
    result = found.results["large"]
    assert result.errors > 0
    assert result.overall.n + result.errors == 40
    assert result.overall.value > 0.5


def test_a_model_without_answers_is_left_out(tmp_path: Path) -> None:
    found = measured(tmp_path, {Outcome.UNAVAILABLE: 1.0})
    assert found.results == {}
    assert found.paired == ()
