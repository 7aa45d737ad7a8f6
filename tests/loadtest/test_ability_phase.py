import asyncio
import io
from pathlib import Path

from rich.console import Console

from sizeup_loadtest import phases, prompts, schedule
from sizeup_loadtest.ability.items import ladder
from sizeup_loadtest.config import Ability, Config, Limits, Load, Model, Target
from sizeup_loadtest.mock import Behaviour, MockServer, Size
from sizeup_loadtest.record import Outcome
from sizeup_loadtest.rundir import AbilityPiece, RunFolder
from sizeup_loadtest.running import Place, execute

ASKED = Ability(enabled=True, kinds=("sorting", "addition"), levels=(2, 3), items=40)


def measured(path: Path, failures: dict[Outcome, float]) -> AbilityPiece:
    """Run the phase against two sizes, the larger of which knows all the smaller one knows."""
    items = ladder(ASKED.kinds, ASKED.levels, ASKED.seed, ASKED.items)
    behaviour = Behaviour(
        sizes=tuple(
            Size(name, ttft_seconds=0, gap_seconds=0, ability=ability)
            for name, ability in (("small", 0.3), ("large", 0.8))
        ),
        failures=failures,
        answers={item.messages[0].content: item.expected for item in items},
    )

    async def run() -> None:
        async with MockServer(behaviour) as server:
            config = Config(
                target=Target(url=server.url),
                models=(Model(name="small"), Model(name="large")),
                load=Load(warmup=0),
                ability=ASKED,
                limits=Limits(max_minutes=1),
            )
            plan = schedule.compile(config, prompts.source(config.prompts))
            place = Place(RunFolder.create(path), Console(file=io.StringIO()))
            await execute(config, plan, phases.find({"ability"}), place)

    asyncio.run(run())
    piece = RunFolder(path).piece("ability", AbilityPiece)
    assert piece is not None
    return piece


def test_ability_is_what_the_server_knows(tmp_path: Path) -> None:
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
    assert (pair.a, pair.b, pair.only_a_right) == ("small", "large", 0)
    assert pair.only_b_right == large.overall.successes - small.overall.successes


def test_failed_requests_are_errors_and_not_wrong(tmp_path: Path) -> None:
    found = measured(tmp_path, {Outcome.UNAVAILABLE: 0.5})
    result = found.results["large"]
    assert result.errors > 0
    assert result.overall.n + result.errors == 40
    assert result.overall.value > 0.5


def test_a_size_that_never_answers_is_left_out(tmp_path: Path) -> None:
    found = measured(tmp_path, {Outcome.UNAVAILABLE: 1.0})
    assert found.results == {}
    assert found.paired == ()
