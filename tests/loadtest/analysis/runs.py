"""Variants of the sample run, for tests that compare runs."""

from sizeup_loadtest.data.results import Estimate, Results, StageResult


def slower(results: Results, factor: float, spread: float | None = 0.01) -> Results:
    """Return the run with every mean TPOT multiplied by a factor; no interval for spread None."""

    def scaled(mean: Estimate) -> Estimate:
        value = mean.value * factor
        if spread is None:
            return Estimate(value=value)
        return Estimate(value=value, low=value * (1 - spread), high=value * (1 + spread))

    models = []
    for model in results.models:
        stages = []
        for stage in model.stages:
            assert stage.tpot
            tpot = stage.tpot.model_copy(update={"mean": scaled(stage.tpot.mean)})
            stages.append(stage.model_copy(update={"tpot": tpot}))
        models.append(model.model_copy(update={"stages": tuple(stages)}))
    return results.model_copy(update={"models": tuple(models)})


def with_stages(results: Results, *stages: StageResult) -> Results:
    """Return the run with only its first model, and other stages."""
    only = results.models[0].model_copy(update={"stages": stages, "ability": None})
    return results.model_copy(update={"models": (only,)})
