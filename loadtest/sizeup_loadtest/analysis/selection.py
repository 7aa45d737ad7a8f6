"""Which stages of a model answer which question. Pure."""

from sizeup_loadtest.data.results import ModelResult, StageResult


def lightest_stage(model: ModelResult, length: str | None = None) -> StageResult | None:
    """Return the closed-loop stage of lowest concurrency: the latency of a single user.

    Fixed length takes precedence, because then every model generates the same number of tokens;
    `length` restricts the choice. Open-loop stages are used where no closed loop was run.
    """
    candidates = [s for s in model.stages if length in (None, s.length) and s.n > 0]
    closed = [s for s in candidates if s.mode == "closed"] or candidates
    return min(closed, key=lambda s: (s.level, s.length != "fixed"), default=None)


def family(stage: StageResult) -> str:
    """Return the key of a stage without its load level."""
    return stage.stage.replace(f"-{stage.level:g}", "", 1)


def load_curve(model: ModelResult, mode: str | None = None) -> tuple[StageResult, ...]:
    """Return stages that differ in load only, by increasing load.

    Those that the lightest stage is one of, unless others cover more loads; `mode` restricts the
    choice.
    """
    first = lightest_stage(model)
    curves: dict[str, list[StageResult]] = {} if first is None else {family(first): []}
    for stage in sorted(model.stages, key=lambda s: s.level):
        if mode in (None, stage.mode):
            curves.setdefault(family(stage), []).append(stage)
    widest = max(curves, key=lambda key: min(2, len(curves[key])), default="")
    return tuple(curves.get(widest, ()))
