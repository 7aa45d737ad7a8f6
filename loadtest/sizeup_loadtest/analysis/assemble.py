"""A run's folder -> its results. Anything that was measured can be computed again from it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from sizeup_loadtest.analysis import capacity, cost, latency, validity, verdict
from sizeup_loadtest.config.schema import Config, ModelConfig
from sizeup_loadtest.data.record import Api, Outcome, Record
from sizeup_loadtest.data.results import (
    CapacityResult,
    ModelInfo,
    ModelResult,
    Paired,
    Results,
    SampleAnswers,
    StageResult,
    Validity,
)
from sizeup_loadtest.execution import capacity_search, client_lag
from sizeup_loadtest.storage.run_folder import (
    AbilityFile,
    CapacityFile,
    RunFolder,
    RunInfo,
    SuitesFile,
)
from sizeup_loadtest.workload.schedule import Plan, Stage

SHOWN_PROMPTS = 6
"""Prompts whose answers a report shows side by side."""

_GIGA = 1e9

_BYTES: Mapping[str, float] = {"F32": 4, "F16": 2, "BF16": 2}
"""Of a parameter, by dtype; in quantized weights it varies, and the files say it."""

By = Mapping[tuple[str, str], Sequence[Record]]
"""Records by model and stage, with those ahead of a block, which no figure counts."""


def assemble(folder: RunFolder) -> Results:
    """Compute a run's results; FolderError when the folder is not a run's."""
    config, plan, info = folder.config(), folder.plan(), folder.info()
    everything = list(folder.records())
    records = [record for record in everything if not record.planned.warm_up]
    by = _by_model_and_stage(everything)
    broken = {**validity.broken(config.limits, _counts(config, records)), **info.broken}
    models = _models(folder, config, plan, info, by, broken)
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
        validity=_validity(folder, config, plan, info, records, models),
        verdict=verdict.decide(models, config.requirements),
        answers=_side_by_side(plan, records),
    )


def _by_model_and_stage(records: Iterable[Record]) -> By:
    by: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        by[record.planned.model, record.stage].append(record)
    return by


def _counts(config: Config, records: Iterable[Record]) -> Mapping[str, validity.Count]:
    """Count every size's requests, without those of the search for capacity."""
    by: dict[str, list[Record]] = {model.name: [] for model in config.models}
    for record in records:
        if not capacity_search.is_search(record.stage):
            by[record.planned.model].append(record)
    return {
        name: validity.Count(len(seen), sum(r.outcome is not Outcome.OK for r in seen))
        for name, seen in by.items()
    }


def _models(
    folder: RunFolder,
    config: Config,
    plan: Plan,
    info: RunInfo,
    by: By,
    broken: Mapping[str, str],
) -> tuple[ModelResult, ...]:
    """Return every size, smallest first where the server says how large they are."""
    searches = folder.read_json("capacity", CapacityFile)
    ability = folder.read_json("ability", AbilityFile)
    suites = folder.read_json("suites", SuitesFile)
    made = []
    for model in config.models:
        model_info = info.model_info.get(model.name, ModelInfo())
        cold = info.load_seconds.get(model.name)
        result = ModelResult(
            name=model.name,
            model_info=model_info,
            broken=broken.get(model.name),
            load_seconds=model_info.load_seconds if cold is None else cold,
            load_source="cold start" if cold else "server" if model_info.load_seconds else None,
            bound_tok_s=bound(model, model_info),
            stages=_stages(config, plan, model.name, by),
            capacity=_searched(config, info, searches, model.name),
            ability=ability.results.get(model.name) if ability else None,
            suites=suites.results.get(model.name, {}) if suites else {},
        )
        priced = cost.of(result, model.price_per_hour, config.slo.attainment)
        made.append(result.model_copy(update={"cost": priced}))
    return tuple(sorted(made, key=lambda m: m.model_info.parameters or 0) if _all_known(made) else made)


def _searched(
    config: Config, info: RunInfo, searches: CapacityFile | None, model: str
) -> CapacityResult | None:
    """Return what a search found, and whether it ended where the client was late.

    Lateness is known of all sizes under a load together: it was one client's.
    """
    found = searches.results.get(model) if searches else None
    if found is None or found.max_load is None:
        return found
    failed = [p.level for p in found.points if not capacity.passes(p, config.slo.attainment)]
    above = min((level for level in failed if level > found.max_load), default=None)
    seen = (
        None if above is None else info.stage_lag.get(capacity_search.stage_key(found.mode, above))
    )
    return found.model_copy(update={"client_late": validity.too_late(seen, config.limits)})


def _all_known(models: Sequence[ModelResult]) -> bool:
    return all(model.model_info.parameters is not None for model in models)


def bound(model: ModelConfig, model_info: ModelInfo) -> float | None:
    """Return the tokens per second of one stream that memory allows: each reads every weight.

    Files may hold another dtype than the one that runs, so parameters and dtype go before them.
    None for a mixture of experts: each token reads some of its weights, and nobody says how many.
    """
    if "moe" in (model_info.architecture or "").lower():
        return None
    each = _BYTES.get(model_info.dtype or "")
    whole = model_info.parameters * each if model_info.parameters and each else model_info.weight_bytes
    if model.bandwidth_gb_s is None or not whole:
        return None
    return model.bandwidth_gb_s * _GIGA / whole


def _stages(config: Config, plan: Plan, model: str, by: By) -> tuple[StageResult, ...]:
    return tuple(
        latency.stage_result(to_load(stage, config.target.api), by[model, stage.key], config.slo)
        for stage in plan.stages
        if any(not record.planned.warm_up for record in by.get((model, stage.key), ()))
    )


def to_load(stage: Stage, api: Api) -> latency.StageLoad:
    """Say a stage as `measure` takes it."""
    return latency.StageLoad(stage.key, stage.mode, stage.level, stage.length, api, stage.arrival)


def _paired(folder: RunFolder, plan: Plan, models: Sequence[str], by: By) -> tuple[Paired, ...]:
    """Compare every two sizes in every stage, and in ability."""
    pairs = [
        latency.paired(a, b, stage.key, of_a, of_b)
        for a, b in combinations(models, 2)
        for stage in plan.stages
        if (of_a := by.get((a, stage.key))) and (of_b := by.get((b, stage.key)))
    ]
    ability = folder.read_json("ability", AbilityFile)
    return (*pairs, *(ability.paired if ability else ()))


def _validity(
    folder: RunFolder,
    config: Config,
    plan: Plan,
    info: RunInfo,
    records: Sequence[Record],
    models: Sequence[ModelResult],
) -> Validity:
    known = {stage.key for stage in plan.stages}
    searched = [record for record in records if capacity_search.is_search(record.stage)]
    counted = [record for record in records if not capacity_search.is_search(record.stage)]
    sent = [record for record in counted if record.stage in known]
    planned = sum(len(s.requests) for s in plan.segments if s.model not in info.broken)
    warnings = [] if info.complete else [validity.STOPPED]
    suites = folder.read_json("suites", SuitesFile)
    warnings += [f"{name}: {why}" for name, why in suites.failed.items()] if suites else []
    lags = info.stage_lag
    return validity.judge(
        config.limits,
        validity.Lateness(
            send=client_lag.send_lag(counted),
            loop=info.loop_lag,
            stages={key: lags[key] for key in lags if key in known},
            search_send=client_lag.send_lag(searched),
            search_stages={key: lags[key] for key in lags if capacity_search.is_search(key)},
        ),
        _counts(config, records),
        broken={model.name: model.broken for model in models if model.broken},
        paces=_paces(models),
        searched=len(searched),
        unsent=max(0, planned - len(sent)) if sent else 0,
        complete=info.complete,
        warnings=[*warnings, *validity.stage_warnings(models)],
    )


def _paces(models: Sequence[ModelResult]) -> Mapping[str, float]:
    """Return the least time per token of any size, by stage."""
    paces: dict[str, float] = {}
    for stage in (stage for model in models for stage in model.stages):
        if stage.tpot is not None:
            mean = stage.tpot.mean.value
            paces[stage.stage] = min(mean, paces.get(stage.stage, mean))
    return paces


def _side_by_side(plan: Plan, records: Sequence[Record]) -> tuple[SampleAnswers, ...]:
    """Put the answers of the lightest load of natural length beside each other."""
    said: dict[str, dict[str, str]] = {}
    for stage in (stage for stage in plan.stages if stage.length == "until_eos"):
        for record in records:
            if record.stage == stage.key and record.text:
                said.setdefault(record.planned.prompt, {})[record.planned.model] = record.text
        break
    return tuple(
        SampleAnswers(prompt=plan.prompts[key].messages[-1].content, answers=answers)
        for key, answers in list(said.items())[:SHOWN_PROMPTS]
    )
