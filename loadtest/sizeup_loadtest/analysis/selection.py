"""Which of a size's stages answers which question. Pure."""

from sizeup_loadtest.data.results import ModelResult, StageResult


def lightest_stage(model: ModelResult, length: str | None = None) -> StageResult | None:
    """Return the stage with the least load in closed loop: what one user feels.

    Forced length goes before natural, because every size then writes as many tokens; `length`
    asks for one of them only. Open-loop stages stand in where no closed loop was run.
    """
    fitting = [s for s in model.stages if length in (None, s.length) and s.n > 0]
    closed = [s for s in fitting if s.mode == "closed"] or fitting
    return min(closed, key=lambda s: (s.level, s.length != "fixed"), default=None)


def family(stage: StageResult) -> str:
    """Return a stage's name without its load: what its curve over loads is called."""
    return stage.stage.replace(f"-{stage.level:g}", "", 1)


def curve(model: ModelResult) -> tuple[StageResult, ...]:
    """Return the stages that differ from the least load in load alone, by rising load."""
    first = lightest_stage(model)
    if first is None:
        return ()
    same = (s for s in model.stages if (family(s), s.length) == (family(first), first.length))
    return tuple(sorted(same, key=lambda s: s.level))
