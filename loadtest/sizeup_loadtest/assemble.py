"""A run's folder -> its results. Anything that was measured can be computed again from it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from random import Random

from sizeup_loadtest import capacity, cost, lag, measure, validity, verdict
from sizeup_loadtest.config import Config, Model
from sizeup_loadtest.record import Api, Outcome, Record
from sizeup_loadtest.results import (
    ModelFacts,
    ModelResult,
    Paired,
    Results,
    SideBySide,
    StageResult,
    Validity,
)
from sizeup_loadtest.rundir import AbilityPiece, CapacityPiece, Info, RunFolder, SuitesPiece
from sizeup_loadtest.schedule import Plan, Stage

SHOWN_PROMPTS = 6
"""Prompts whose answers a report shows side by side."""

_GIGA = 1e9

By = Mapping[tuple[str, str], Sequence[Record]]
"""Records by model and stage."""


def assemble(folder: RunFolder) -> Results:
    """Compute a run's results; FolderError when the folder is not a run's."""
    config, plan, info = folder.config(), folder.plan(), folder.info()
    records = [record for record in folder.records() if not record.planned.warm_up]
    by = _by_model_and_stage(records)
    models = _models(folder, config, plan, info, by)
    return Results(
        tool_version=info.tool_version,
        started_at=info.started_at,
        seconds=info.seconds,
        target=config.target.url,
        scenario=config.scenario,
        config=config.model_dump(mode="json"),
        schedule_hash=plan.sha256,
        environment=info.environment,
        models=models,
        paired=_paired(folder, plan, [model.name for model in models], by),
        validity=_validity(folder, config, plan, info, records),
        verdict=verdict.decide(models, config.bar),
        answers=_side_by_side(plan, records),
    )


def _by_model_and_stage(records: Iterable[Record]) -> By:
    by: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        by[record.planned.model, record.stage].append(record)
    return by


def _models(
    folder: RunFolder, config: Config, plan: Plan, info: Info, by: By
) -> tuple[ModelResult, ...]:
    """Return every size, smallest first where the server says how large they are."""
    searches = folder.piece("capacity", CapacityPiece)
    ability = folder.piece("ability", AbilityPiece)
    suites = folder.piece("suites", SuitesPiece)
    made = []
    for model in config.models:
        facts = info.facts.get(model.name, ModelFacts())
        result = ModelResult(
            name=model.name,
            facts=facts,
            load_seconds=info.load_seconds.get(model.name),
            bound_tok_s=bound(model, facts),
            stages=_stages(config, plan, model.name, by),
            capacity=searches.results.get(model.name) if searches else None,
            ability=ability.results.get(model.name) if ability else None,
            suites=suites.results.get(model.name, {}) if suites else {},
        )
        priced = cost.of(result, model.price_per_hour, config.slo.attainment)
        made.append(result.model_copy(update={"cost": priced}))
    return tuple(sorted(made, key=lambda m: m.facts.parameters or 0) if _all_known(made) else made)


def _all_known(models: Sequence[ModelResult]) -> bool:
    return all(model.facts.parameters is not None for model in models)


def bound(model: Model, facts: ModelFacts) -> float | None:
    """Return the tokens per second of one stream that memory allows: each reads every weight."""
    if model.bandwidth_gb_s is None or not facts.weight_bytes:
        return None
    return model.bandwidth_gb_s * _GIGA / facts.weight_bytes


def _stages(config: Config, plan: Plan, model: str, by: By) -> tuple[StageResult, ...]:
    return tuple(
        measure.stage_result(
            to_load(stage, config.target.api), records, config.slo, _rng(plan, model, stage.key)
        )
        for stage in plan.stages
        if (records := by.get((model, stage.key)))
    )


def to_load(stage: Stage, api: Api) -> measure.Load:
    """Say a stage as `measure` takes it."""
    return measure.Load(stage.key, stage.mode, stage.level, stage.length, api, stage.arrival)


def _paired(folder: RunFolder, plan: Plan, models: Sequence[str], by: By) -> tuple[Paired, ...]:
    """Compare every two sizes in every stage, and in ability."""
    pairs = [
        measure.paired(a, b, stage.key, of_a, of_b, _rng(plan, a, b, stage.key))
        for a, b in combinations(models, 2)
        for stage in plan.stages
        if (of_a := by.get((a, stage.key))) and (of_b := by.get((b, stage.key)))
    ]
    ability = folder.piece("ability", AbilityPiece)
    return (*pairs, *(ability.paired if ability else ()))


def _validity(
    folder: RunFolder, config: Config, plan: Plan, info: Info, records: Sequence[Record]
) -> Validity:
    known = {stage.key for stage in plan.stages}
    sent = [record for record in records if record.stage in known]
    searched = [record for record in records if capacity.is_search(record.stage)]
    counted = [record for record in records if not capacity.is_search(record.stage)]
    planned = plan.requests if sent else 0
    warnings = [] if info.complete else ["the run was stopped before its end"]
    suites = folder.piece("suites", SuitesPiece)
    warnings += [f"{name}: {why}" for name, why in suites.failed.items()] if suites else []
    return validity.judge(
        config.limits,
        send=lag.send_lag(counted),
        loop=info.loop_lag,
        errors=sum(record.outcome is not Outcome.OK for record in counted),
        sent=len(counted),
        unsent=max(0, planned - len(sent)),
        searched=len(searched),
        search_send=lag.send_lag(searched),
        warnings=warnings,
    )


def _side_by_side(plan: Plan, records: Sequence[Record]) -> tuple[SideBySide, ...]:
    """Put the answers of the lightest load of natural length beside each other."""
    said: dict[str, dict[str, str]] = {}
    for stage in (stage for stage in plan.stages if stage.length == "natural"):
        for record in records:
            if record.stage == stage.key and record.text:
                said.setdefault(record.planned.prompt, {})[record.planned.model] = record.text
        break
    return tuple(
        SideBySide(prompt=plan.prompts[key].messages[-1].content, answers=answers)
        for key, answers in list(said.items())[:SHOWN_PROMPTS]
    )


def _rng(plan: Plan, *parts: str) -> Random:
    """Return a generator for one figure: results made again are the same."""
    return Random("/".join((plan.sha256, *parts)))
