"""From a run's folder to its results, with raw events that were made up."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.recording import failed, record
from sizeup_loadtest.analysis import assemble, capacity
from sizeup_loadtest.analysis.capacity import Bounds
from sizeup_loadtest.analysis.intervals import wilson
from sizeup_loadtest.config.schema import Config, ModelConfig
from sizeup_loadtest.data.record import Outcome, Record
from sizeup_loadtest.data.results import CapacityPoint, Lag, ModelInfo, Results
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


def test_a_size_most_of_whose_requests_failed_is_broken_and_the_other_is_not(
    tmp_path: Path,
) -> None:
    bad = [failed(one, Outcome.BUSY) for one in of("a")[:3]]
    results = assembled(tmp_path, [*bad, *of("a")[3:], *of("b")])
    a, b = results.models
    assert (a.invalid_reason, b.invalid_reason) == ("3 of 4 requests failed (limit 5%)", None)
    assert results.validity.valid
    assert results.validity.warnings == (f"a is broken: {a.invalid_reason}",)


def test_a_size_that_was_left_alone_has_no_requests_missing(tmp_path: Path) -> None:
    results = assembled(tmp_path, of("b"), invalid_reason={"a": "it does not answer: refused: x"})
    assert results.models[0].invalid_reason == "it does not answer: refused: x"
    assert results.models[0].stages == ()
    assert results.validity.warnings == ("a is broken: it does not answer: refused: x",)


def test_a_cold_start_that_was_seen_goes_before_what_the_server_says(tmp_path: Path) -> None:
    told = ModelInfo(load_seconds=2.0)
    results = assembled(
        tmp_path, [*of("a"), *of("b")], model_info={"a": told, "b": told}, load_seconds={"a": 3.0}
    )
    found = [(m.load_seconds, m.load_source) for m in results.models]
    assert found == [(3.0, "cold start"), (2.0, "server")]


def test_the_lag_of_a_stage_is_judged(tmp_path: Path) -> None:
    lags = {
        STAGE: Lag(n=400, p50=0.0, p99=0.2, high=0.3),
        "warm-up": Lag(n=400, p50=0.0, p99=0.9, high=0.9),
        "capacity-closed-8": Lag(n=400, p50=0.0, p99=0.4, high=0.4),
    }
    found = assembled(tmp_path, [*of("a"), *of("b")], stage_lag=lags).validity
    assert found.worst_stage == STAGE
    assert [reason.partition(",")[0] for reason in found.reasons] == [f"in {STAGE}"]
    assert [told.partition(",")[0] for told in found.warnings] == [
        "in capacity-closed-8",
        f"in {STAGE}",  # later than a token takes
    ]


def test_answers_and_prompts_that_were_not_as_asked_are_told(tmp_path: Path) -> None:
    cut = [replace(one, prompt_words=900) for one in of("a")]
    short = [replace(one, completion_tokens=5) for one in of("b")[:2]]
    found = assembled(tmp_path, [*cut, *short, *of("b")[2:]]).validity
    assert found.valid
    assert found.warnings == (
        f"a: 4 prompts were cut: the server read fewer tokens than half their words (in {STAGE})",
        f"b: 2 answers of forced length ended before it (in {STAGE})",
    )


@pytest.mark.parametrize(
    ("model_info", "whole"),
    [
        (ModelInfo(parameters=10, weight_bytes=20, dtype="F32"), 40),  # files of another dtype
        (ModelInfo(parameters=10, weight_bytes=40, dtype="BF16"), 20),
        (ModelInfo(parameters=10, weight_bytes=6, dtype="Q4_K_M"), 6),
        (ModelInfo(weight_bytes=20), 20),
    ],
)
def test_the_bound_is_of_the_weights_as_they_run(model_info: ModelInfo, whole: int) -> None:
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
def test_a_search_that_ended_where_the_client_was_late_may_have_found_too_little(
    tmp_path: Path, stage: str, lag: Lag, late: bool
) -> None:
    points = (point(2, 100), point(4, 50), point(8, 0))
    found = capacity.result(points, Bounds("closed", CONFIG.slo.attainment, 64))
    folder = folder_of(tmp_path, [*of("a"), *of("b")], stage_lag={stage: lag})
    folder.write_json("capacity", CapacityFile(results={"a": found}))
    searched = assemble.assemble(folder).models[0].capacity
    assert searched
    assert (searched.max_load, searched.client_late) == (2, late)


def test_what_a_run_that_was_stopped_did_not_send_is_not_blamed_on_time(tmp_path: Path) -> None:
    found = assembled(tmp_path, [*of("a"), *of("b", 3)], complete=False).validity
    assert found.warnings == (
        "the run was stopped before its end",
        "1 planned requests were not sent: the run was stopped before",
    )


def test_no_bandwidth_or_no_size_is_no_bound() -> None:
    assert assemble.bandwidth_bound(ModelConfig(name="a"), ModelInfo(weight_bytes=20)) is None
    assert (
        assemble.bandwidth_bound(ModelConfig(name="a", bandwidth_gb_s=1), ModelInfo(parameters=10))
        is None
    )
