"""Run folder -> results. Every metric can be recomputed from the folder."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import inf

from sizeup_loadtest.analysis import cost, sizes, validity, verdict
from sizeup_loadtest.analysis.comparison import pairing
from sizeup_loadtest.analysis.sizes import Size
from sizeup_loadtest.analysis.stages import capacity, latency, turns
from sizeup_loadtest.analysis.stages.blocks import by_stage
from sizeup_loadtest.config.models import ModelConfig
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import (
    CapacityResult,
    ModelInfo,
    ModelResult,
    Paired,
    Results,
    SampleOutputs,
    StageResult,
    Validity,
)
from sizeup_loadtest.storage.run_folder import (
    AbilityFile,
    CapacityFile,
    RunFolder,
    RunInfo,
    SuitesFile,
)
from sizeup_loadtest.workload.schedule import Plan, Stage

SAMPLE_PROMPTS = 6
"""Prompts whose outputs a report shows side by side."""

_BYTES: Mapping[str, float] = {"F32": 4, "F16": 2, "BF16": 2}
"""Per parameter, by dtype; for quantized weights it varies, and the file size decides."""

_ON_LOAD = frozenset({"Q8_0", "Q4_0"})
"""What weights are called that sizeup has quantized on load: their files are larger, and on a CPU
the memory taken by loading is the weights."""


@dataclass(frozen=True)
class _Run:
    config: Config
    plan: Plan
    info: RunInfo
    records: Sequence[Record]
    capacity: CapacityFile
    ability: AbilityFile
    suites: SuitesFile

    @cached_property
    def measured(self) -> Sequence[Record]:
        return [record for record in self.records if not record.planned.warm_up]

    @cached_property
    def by_stage(self) -> Mapping[tuple[str, str], Sequence[Record]]:
        return by_stage(self.records)

    @cached_property
    def counts(self) -> Mapping[str, validity.RequestCount]:
        """Requests of every model, without those of the capacity search."""
        by: dict[str, list[Record]] = {model.name: [] for model in self.config.models}
        for record in self.measured:
            if not capacity.is_search(record.stage):
                by[record.planned.model].append(record)
        return {name: validity.count(group) for name, group in by.items()}


def assemble(folder: RunFolder) -> Results:
    """Compute the results of a run; FolderError when the folder is not that of a run."""
    run = _Run(
        folder.config(),
        folder.plan(),
        folder.info(),
        list(folder.records()),
        folder.read_json("capacity", CapacityFile) or CapacityFile(results={}),
        folder.read_json("ability", AbilityFile) or AbilityFile(results={}),
        folder.read_json("suites", SuitesFile) or SuitesFile(results={}),
    )
    models, ordered = _models(run)
    return Results(
        tool_version=run.info.tool_version,
        started_at=run.info.started_at,
        seconds=run.info.seconds,
        target=", ".join(dict.fromkeys(m.url or run.config.target.url for m in run.config.models)),
        scenario=run.config.scenario,
        config=run.config.model_dump(mode="json"),
        schedule_hash=run.plan.sha256,
        environment=run.info.environment,
        models=models,
        ordered_by_size=ordered,
        ability_source=_ability_source(run),
        paired=_paired(run, [model.name for model in models]),
        validity=_validity(run, models),
        verdict=verdict.decide(models, run.config.requirements, ordered),
        samples=_samples(run.plan, run.measured),
    )


def _ability_source(run: _Run) -> str | None:
    if not run.ability.results:
        return None
    file = run.config.ability.file
    return "built-in" if file is None else file.replace("\\", "/").rpartition("/")[2]


def _models(run: _Run) -> tuple[tuple[ModelResult, ...], bool]:
    """Return every model, and whether they are in the order of their sizes: where all are known."""
    known = {
        model.name: sizes.size(
            _info(run, model.name).parameters, model.parameters, model.model or model.name
        )
        for model in run.config.models
    }
    ordered = None not in known.values()  # else "smallest" has no meaning
    models = [_model(run, model, known[model.name]) for model in run.config.models]
    if ordered:
        models.sort(key=lambda m: m.model_info.parameters or 0)
    return tuple(models), ordered


def _info(run: _Run, model: str) -> ModelInfo:
    return run.info.model_info.get(model, ModelInfo())


def _model(run: _Run, model: ModelConfig, size: Size | None) -> ModelResult:
    info = _info(run, model.name)
    cold = run.info.load_seconds.get(model.name)
    stages = _stages(run, model.name)
    result = ModelResult(
        name=model.name,
        server=run.info.servers.get(model.name),
        model_info=info.model_copy(update={"parameters": size.parameters if size else None}),
        parameters_source=size.source if size else None,
        invalid_reason=run.info.invalid_models.get(model.name)
        or validity.invalid_model(run.config.limits, run.counts[model.name], stages),
        load_seconds=info.load_seconds if cold is None else cold,
        load_source="cold start" if cold else "server" if info.load_seconds else None,
        bound_tok_s=bandwidth_bound(model, info),
        stages=stages,
        capacity=_capacity(run, model.name),
        ability=run.ability.results.get(model.name),
        suites=run.suites.results.get(model.name, {}),
    )
    priced = cost.estimate_cost(result, model.price_per_hour, run.config.slo.attainment)
    return result.model_copy(update={"cost": priced})


def _capacity(run: _Run, model: str) -> CapacityResult | None:
    """Return the result of a search, and whether it ended where the client was late.

    Client lag is known by load, for all models together.
    """
    found = run.capacity.results.get(model)
    if found is None or found.max_load is None:
        return found
    target = run.config.slo.attainment
    failed = [p.level for p in found.points if not capacity.passes(p, target)]
    above = min((level for level in failed if level > found.max_load), default=inf)
    lag = run.info.stage_lag.get(capacity.stage_key(found.mode, above))
    late = validity.client_was_late(lag, run.config.limits)
    return found.model_copy(update={"client_late": late})


def bandwidth_bound(model: ModelConfig, info: ModelInfo) -> float | None:
    """Return the tokens/s of one stream at which memory bandwidth is exhausted.

    Every token reads all weights. Parameters and running dtype take precedence over the file size,
    since files may have another dtype. None for a mixture of experts: a token reads some of the
    weights, and APIs do not report how many.
    """
    if "moe" in (info.architecture or "").lower():
        return None
    each = _BYTES.get(info.dtype or "")
    total = info.parameters * each if info.parameters and each else info.weight_bytes
    if total and info.dtype in _ON_LOAD and not info.device_bytes:
        total = min(total, info.memory_bytes or total)
    if model.bandwidth_gb_s is None or not total:
        return None
    return model.bandwidth_gb_s * 1e9 / total


def _stages(run: _Run, model: str) -> tuple[StageResult, ...]:
    sent = [(stage, run.by_stage.get((model, stage.key), ())) for stage in run.plan.stages]
    return tuple(
        _stage(run, model, stage, records)
        for stage, records in sent
        if not all(record.planned.warm_up for record in records)
    )


def _stage(run: _Run, model: str, stage: Stage, records: Sequence[Record]) -> StageResult:
    result = latency.stage_result(stage, records, run.config.slo)
    counted = validity.count([r for r in records if not r.planned.warm_up])
    reason = validity.too_many_errors(run.config.limits, counted)
    metrics = run.info.server_metrics.get(model, {}).get(stage.key)
    return result.model_copy(update={"invalid_reason": reason, "server_metrics": metrics})


def _paired(run: _Run, models: Sequence[str]) -> tuple[Paired, ...]:
    """Compare every two models in every stage, and in ability."""
    pairs = [
        pairing.paired(a, b, stage.key, of_a, of_b)
        for a, b in combinations(models, 2)
        for stage in run.plan.stages
        if (of_a := run.by_stage.get((a, stage.key))) and (of_b := run.by_stage.get((b, stage.key)))
    ]
    return (*pairs, *run.ability.paired)


def _validity(run: _Run, models: Sequence[ModelResult]) -> Validity:
    stages = {stage.key for stage in run.plan.stages}
    searched = [record for record in run.measured if capacity.is_search(record.stage)]
    counted = [record for record in run.measured if not capacity.is_search(record.stage)]
    sent = [record for record in counted if record.stage in stages]
    planned = sum(s.required for s in run.plan.segments if s.model not in run.info.invalid_models)
    never_due = turns.never_due((r for s in run.plan.segments for r in s.requests), sent)
    warnings = [*run.info.notes] if run.info.complete else [validity.STOPPED, *run.info.notes]
    if never_due:
        warnings.append(f"{never_due} turns of conversations were not sent: an earlier one failed")
    if run.config.ollama_models and run.config.length != "until_eos":
        warnings.append(validity.UNTIL_EOS)
    for model in models:
        refused = model.server.adaptations if model.server else ()
        warnings += [f"{model.name}: {adaptation}" for adaptation in refused]
    warnings += [f"{name}: {reason}" for name, reason in run.suites.failed.items()]
    lags = run.info.stage_lag
    return validity.evaluate(
        run.config.limits,
        validity.ClientLag(
            send=validity.send_lag(counted),
            loop=run.info.loop_lag,
            stages={key: lags[key] for key in lags if key in stages},
        ),
        run.counts,
        search=validity.ClientLag(
            send=validity.send_lag(searched),
            stages={key: lags[key] for key in lags if capacity.is_search(key)},
        ),
        invalid={model.name: model.invalid_reason for model in models if model.invalid_reason},
        paces=_lowest_tpot(models),
        searched=len(searched),
        not_sent=next((r.error for r in run.records if r.outcome is Outcome.CLIENT), None),
        # A plan with a budget is the most that could be sent.
        unsent=max(0, planned - len(sent) - never_due)
        if sent and not run.config.limits.budget_minutes
        else 0,
        complete=run.info.complete,
        share_done=run.info.share_done,
        warnings=[*warnings, *validity.stage_warnings(models, run.config.shares_prefixes)],
    )


def _lowest_tpot(models: Sequence[ModelResult]) -> Mapping[str, float]:
    """Return the lowest mean TPOT of any model, by stage."""
    means = [(s.stage, s.tpot.mean.value) for model in models for s in model.stages if s.tpot]
    return {stage: min(mean for key, mean in means if key == stage) for stage, _ in means}


def _samples(plan: Plan, records: Iterable[Record]) -> tuple[SampleOutputs, ...]:
    """Return outputs of the first stage that generates until EOS, by prompt."""
    stage = next((stage.key for stage in plan.stages if stage.length == "until_eos"), None)
    outputs: dict[str, dict[str, str]] = {}
    for record in records:
        if record.stage == stage and record.text:
            outputs.setdefault(record.planned.prompt, {})[record.planned.model] = record.text
    return tuple(
        SampleOutputs(prompt=plan.prompts[key].messages[-1].content, outputs=by_model)
        for key, by_model in list(outputs.items())[:SAMPLE_PROMPTS]
    )
