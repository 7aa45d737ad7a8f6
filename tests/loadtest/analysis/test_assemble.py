from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.recording import failed, record
from sizeup_loadtest.analysis import assemble, validity
from sizeup_loadtest.analysis.intervals import wilson
from sizeup_loadtest.analysis.stages import capacity
from sizeup_loadtest.analysis.stages.capacity import Bounds
from sizeup_loadtest.config.models import ModelConfig
from sizeup_loadtest.config.schema import Config, Prompts
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import (
    CapacityPoint,
    Lag,
    MeanAndMax,
    ModelInfo,
    Results,
    ServerMetrics,
)
from sizeup_loadtest.storage.run_folder import CapacityFile, RunFolder, RunInfo
from sizeup_loadtest.workload import prompts, schedule

CONFIG = Config.model_validate(
    {
        "models": ["a", "b"],
        "length": "fixed",
        "load": {"blocks": 1, "closed": [1], "requests_per_block": 4},
    }
)
PLAN = schedule.compile_plan(CONFIG, prompts.source(CONFIG.prompts))
INFO = RunInfo(
    tool_version="0", started_at="2026-01-01T00:00:00", seconds=9, environment={}, loop_lag=None
)
STAGE = "closed-1-fixed"


def of(model: str, count: int = 4) -> list[Record]:
    return [record(i, model=model, stage=STAGE, sent=300 * i) for i in range(count)]


def assembled(path: Path, records: Iterable[Record], **info: object) -> Results:
    return assemble.assemble(folder_of(path, records, **info))


def folder_of(path: Path, records: Iterable[Record], **info: object) -> RunFolder:
    folder = RunFolder.create(path / "run")
    folder.begin(CONFIG, PLAN)
    with folder.recorder() as recorder:
        for one in records:
            recorder.add(one)
    folder.write_json("run", INFO.model_copy(update=info))
    return folder


def test_a_model_with_too_many_errors_is_invalid(
    tmp_path: Path,
) -> None:
    bad = [failed(one, Outcome.BUSY) for one in of("a")[:3]]
    results = assembled(tmp_path, [*bad, *of("a")[3:], *of("b")])
    a, b = results.models
    assert b.invalid_reason is None
    assert "3 of 4" in (a.invalid_reason or "")
    assert results.validity.valid
    [warning] = results.validity.warnings
    assert warning.startswith("a is invalid")


def test_an_unmeasured_model_has_no_unsent_requests(tmp_path: Path) -> None:
    results = assembled(tmp_path, of("b"), invalid_models={"a": "no response"})
    assert results.models[0].invalid_reason == "no response"
    assert results.models[0].stages == ()
    assert len(results.validity.warnings) == 1


def test_a_measured_cold_start_takes_precedence(tmp_path: Path) -> None:
    info = ModelInfo(load_seconds=2.0)
    results = assembled(
        tmp_path, [*of("a"), *of("b")], model_info={"a": info, "b": info}, load_seconds={"a": 3.0}
    )
    found = [(m.load_seconds, m.load_source) for m in results.models]
    assert found == [(3.0, "cold start"), (2.0, "server")]


def test_the_lag_of_a_stage_is_evaluated(tmp_path: Path) -> None:
    lags = {
        STAGE: Lag(n=400, p50=0.0, p99=0.2, high=0.3),
        "warm-up": Lag(n=400, p50=0.0, p99=0.9, high=0.9),
        "capacity-closed-8": Lag(n=400, p50=0.0, p99=0.4, high=0.4),
    }
    found = assembled(tmp_path, [*of("a"), *of("b")], stage_lag=lags).validity
    assert found.worst_stage == STAGE
    assert [reason.partition(":")[0] for reason in found.reasons] == ["1 user, fixed length"]
    stages = [warning.partition(":")[0] for warning in found.warnings]
    assert stages == [
        "capacity search, 8 users",
        "1 user, fixed length",
    ]  # the second is above TPOT


def test_short_outputs_and_truncated_prompts_are_warnings(tmp_path: Path) -> None:
    cut = [replace(one, prompt_words=900) for one in of("a")]
    short = [replace(one, completion_tokens=5) for one in of("b")[:2]]
    found = assembled(tmp_path, [*cut, *short, *of("b")[2:]]).validity
    assert found.valid
    assert [warning[:4] for warning in found.warnings] == ["a: 4", "b: 2"]
    assert all("1 user, fixed length" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("model_info", "whole"),
    [
        (ModelInfo(parameters=10, weight_bytes=20, dtype="F32"), 40),  # files of another dtype
        (ModelInfo(parameters=10, weight_bytes=40, dtype="BF16"), 20),
        (ModelInfo(parameters=10, weight_bytes=6, dtype="Q4_K_M"), 6),
        (ModelInfo(weight_bytes=20), 20),
        (ModelInfo(parameters=10, weight_bytes=20, memory_bytes=7, dtype="Q4_0"), 7),  # on load
        (ModelInfo(parameters=10, weight_bytes=6, memory_bytes=9, dtype="Q4_0"), 6),  # with KV
        (ModelInfo(weight_bytes=20, memory_bytes=7, device_bytes=7, dtype="Q8_0"), 20),
    ],
)
def test_the_bandwidth_bound_uses_the_running_dtype(model_info: ModelInfo, whole: int) -> None:
    found = assemble.bandwidth_bound(ModelConfig(name="a", bandwidth_gb_s=1), model_info)
    assert found == pytest.approx(1e9 / whole)


@pytest.mark.parametrize(
    ("architecture", "known"), [("qwen2", True), ("qwen2_moe", False), ("Qwen3MoE", False)]
)
def test_a_mixture_of_experts_has_no_bound(architecture: str, known: bool) -> None:
    """A token reads some of its weights."""
    model_info = ModelInfo(architecture=architecture, parameters=10, dtype="BF16")
    assert (
        assemble.bandwidth_bound(ModelConfig(name="a", bandwidth_gb_s=1), model_info) is not None
    ) is known


def point(level: float, right: int) -> CapacityPoint:
    return CapacityPoint(
        level=level,
        attainment=wilson(right, 100),
        out_tok_s=9 * level,
        ttft_p50=0.1,
        tpot_p50=0.01,
        saturated=False,
    )


@pytest.mark.parametrize(
    ("stage", "lag", "late"),
    [
        ("capacity-closed-4", Lag(n=400, p50=0.0, p99=0.06, high=0.3), True),
        ("capacity-closed-4", Lag(n=400, p50=0.0, p99=0.04, high=0.3), False),
        ("capacity-closed-4", Lag(n=40, p50=0.0, p99=0.06, high=0.3), False),  # too few for a p99
        ("capacity-closed-8", Lag(n=400, p50=0.0, p99=0.06, high=0.3), False),  # 4 failed before
    ],
)
def test_a_search_that_ended_at_client_lag_is_a_lower_bound(
    tmp_path: Path, stage: str, lag: Lag, late: bool
) -> None:
    points = (point(2, 100), point(4, 50), point(8, 0))
    found = capacity.result(points, Bounds("closed", CONFIG.slo.attainment, 64))
    folder = folder_of(tmp_path, [*of("a"), *of("b")], stage_lag={stage: lag})
    folder.write_json("capacity", CapacityFile(results={"a": found}))
    searched = assemble.assemble(folder).models[0].capacity
    assert searched
    assert (searched.max_load, searched.client_late) == (2, late)


def test_unsent_requests_of_a_stopped_run_are_a_warning(tmp_path: Path) -> None:
    found = assembled(tmp_path, [*of("a"), *of("b", 3)], complete=False).validity
    assert found.warnings[0] == validity.STOPPED
    assert found.warnings[1].startswith("1 planned")


def test_without_bandwidth_or_size_there_is_no_bound() -> None:
    assert assemble.bandwidth_bound(ModelConfig(name="a"), ModelInfo(weight_bytes=20)) is None
    assert (
        assemble.bandwidth_bound(ModelConfig(name="a", bandwidth_gb_s=1), ModelInfo(parameters=10))
        is None
    )


def test_a_stage_has_the_metrics_of_its_server(tmp_path: Path) -> None:
    seen = ServerMetrics(queue=MeanAndMax(mean=1, max=2), sources={"queue": "tgi_queue_size"})
    results = assembled(tmp_path, [*of("a"), *of("b")], server_metrics={"a": {STAGE: seen}})
    a, b = results.models
    assert (a.stages[0].server_metrics, b.stages[0].server_metrics) == (seen, None)


def test_turns_after_a_failed_one_are_not_unsent(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"prompts": Prompts(turns=4)})
    plan = schedule.compile_plan(config, prompts.source(config.prompts))
    folder = RunFolder.create(tmp_path / "run")
    folder.begin(config, plan)
    with folder.recorder() as recorder:
        for segment in plan.segments:
            for i, planned in enumerate(segment.requests):
                made = replace(of(segment.model)[i], planned=planned, cached_tokens=7)
                if segment.model == "b":
                    recorder.add(made)
                elif i < 2:
                    recorder.add(failed(made, Outcome.BUSY) if i else made)
    folder.write_json("run", INFO)
    results = assemble.assemble(folder)
    warnings = results.validity.warnings
    assert any(warning.startswith("2 turns") for warning in warnings)
    assert not any("not sent: time limit" in warning for warning in warnings)
    assert not any("prefix cache" in warning for warning in warnings)  # as planned
    assert [turn.failed for turn in results.models[0].stages[0].turns] == [0, 1]
    assert [turn.n for turn in results.models[1].stages[0].turns] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("models", "found", "order"),
    [
        (["big:7b", "small:0.5b"], {}, ["small:0.5b", "big:7b"]),
        ([{"name": "big", "parameters": 7e9}, {"name": "s:1b"}], {}, ["s:1b", "big"]),
        ([{"name": "big", "model": "Qwen/Qwen-7B"}, {"name": "s:1b"}], {}, ["s:1b", "big"]),
        (["a:7b", "b:0.5b"], {"a:7b": ModelInfo(parameters=1)}, ["a:7b", "b:0.5b"]),
        (["big", "small:0.5b"], {}, None),
    ],
)
def test_models_are_ordered_where_every_size_is_known(
    tmp_path: Path, models: list[object], found: dict[str, ModelInfo], order: list[str] | None
) -> None:
    config = Config.model_validate(CONFIG.model_dump(exclude={"models"}) | {"models": models})
    folder = RunFolder.create(tmp_path / "run")
    folder.begin(config, schedule.compile_plan(config, prompts.source(config.prompts)))
    (folder.path / "records.jsonl").touch()
    folder.write_json("run", INFO.model_copy(update={"model_info": found}))
    results = assemble.assemble(folder)
    listed = [model.name for model in config.models]
    assert [model.name for model in results.models] == (order or listed)
    assert results.ordered_by_size == (order is not None)
    if order is None:
        assert [m.parameters_source for m in results.models] == [None, "name"]


def test_what_a_budget_left_out_is_a_warning(tmp_path: Path) -> None:
    results = assembled(tmp_path, [*of("a"), *of("b")], notes=("closed-16: too slow",))
    assert results.validity.warnings == ("closed-16: too slow",)
