"""Whole runs against a real socket, from the command line to results."""

import json
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from loadtest.background import CONFIG, WHOLE, background, bench
from loadtest.fake_server import (
    STREAM,
    FakeServer,
    ReceivedRequest,
    Response,
    openai_answer,
    status,
)
from sizeup_loadtest.analysis.assemble import assemble
from sizeup_loadtest.data.results import Lag, Results
from sizeup_loadtest.execution.sending.client_lag import LoopLagSampler
from sizeup_loadtest.storage.run_folder import RunFolder


def speed(tmp_path: Path, fake: FakeServer, config: str = CONFIG, *more: str) -> int:
    file = tmp_path / "sizes.yaml"
    file.write_text(config)
    arguments = ("--config", str(file), "--url", fake.url, "--out", str(tmp_path / "run"))
    return bench("run", *arguments, *more)


def test_from_the_command_line_to_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with background(**WHOLE) as fake:
        assert speed(tmp_path, fake) == 0
    results = RunFolder(tmp_path / "run").results()
    assert [m.name for m in results.models] == ["small", "large"]
    _check_counts(fake, results)
    _check_large(results)
    assert results.validity.valid
    assert (results.scenario, results.target) == ("sizes", fake.url)
    assert {pair.stage for pair in results.paired} == {s.stage for s in results.models[0].stages}
    assert {(pair.a, pair.b) for pair in results.paired} == {("small", "large")}
    assert results.samples[0].outputs == {"small": "one two three", "large": "one two three"}
    assert str(tmp_path / "run") in capsys.readouterr().out


def _check_counts(fake: FakeServer, results: Results) -> None:
    """2 output lengths with 2 blocks of 3 + 5 requests and an open stage of 6, and one warm-up
    request, of 2 models.

    Of 20 segments all but three follow another model, and have a preload request.
    """
    assert len(fake.bodies("/v1/chat/completions")) == 2 * (2 * (2 * 8 + 6) + 1) + 17
    per_stage = {s.stage: s.n for s in results.models[0].stages}
    assert per_stage == {
        f"{load}-{length}": n
        for length in ("fixed", "until_eos")
        for load, n in (("closed-1", 6), ("closed-2", 10), ("open-200", 6))
    }


def _check_large(results: Results) -> None:
    large = results.models[1]
    assert (large.model_info.parameters, large.model_info.weight_bytes) == (2_000, 8_000)
    assert large.load_seconds == pytest.approx(0.25)
    assert large.bound_tok_s == pytest.approx(1e9 / 8_000)
    assert large.cost is not None
    assert large.cost.price_per_hour == 3.6


def test_results_can_be_recomputed(tmp_path: Path) -> None:
    with background(**WHOLE) as fake:
        speed(tmp_path, fake)
    folder = RunFolder(tmp_path / "run")
    assert assemble(folder) == folder.results()


def test_failed_requests_make_the_run_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    async def half(request: ReceivedRequest) -> AsyncIterator[bytes]:
        calls.append(1)
        good = len(calls) <= 2 or len(calls) % 2
        async for piece in (WHOLE["chat"] if good else status(503, {}))(request):
            yield piece

    with background(**WHOLE | {"chat": half}) as fake:
        assert speed(tmp_path, fake) == 3
    results = RunFolder(tmp_path / "run").results()
    assert not results.validity.valid
    assert 0.4 < results.validity.error_share < 0.6
    assert "requests failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("responses", "word"),
    [
        ({"models": status(200, {"data": [{"id": "other"}]}), "tags": status(404, {})}, "large"),
        ({"chat": status(500, {"error": "no weights"})}, "no weights"),
    ],
)
def test_a_target_that_cannot_be_measured_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], responses: dict[str, Response], word: str
) -> None:
    with background(**WHOLE | responses) as fake:
        assert speed(tmp_path, fake) == 1
    assert word in capsys.readouterr().err


def test_a_model_without_responses_leaves_the_others_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def only_large(request: ReceivedRequest) -> AsyncIterator[bytes]:
        good = request.body["model"] == "large"
        async for piece in (WHOLE["chat"] if good else status(500, {"error": "no weights"}))(
            request
        ):
            yield piece

    with background(**WHOLE | {"chat": only_large}) as fake:
        assert speed(tmp_path, fake) == 3
    request = [body["model"] for body in fake.bodies("/v1/chat/completions")]
    assert request.count("small") == 3
    assert "small: " in capsys.readouterr().err
    results = RunFolder(tmp_path / "run").results()
    small, large = results.models
    assert "no weights" in (small.invalid_reason or "")
    assert (small.model_info.parameters, small.stages, large.invalid_reason) == (1_000, (), None)
    assert large.stages
    assert results.validity.valid
    assert not any("not sent" in warning for warning in results.validity.warnings)


def test_what_waiting_does_not_change_is_not_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with background(**WHOLE | {"chat": status(401, {"error": "no key"})}) as fake:
        assert speed(tmp_path, fake) == 1
    assert len(fake.bodies("/v1/chat/completions")) == 2  # one of each model
    assert "no key" in capsys.readouterr().err


def test_a_stopped_run_keeps_its_measurements(tmp_path: Path) -> None:
    calls: list[int] = []

    async def stopping(request: ReceivedRequest) -> AsyncIterator[bytes]:
        calls.append(1)
        if len(calls) == 12:
            os.kill(os.getpid(), signal.SIGTERM)
        yield STREAM + b"".join(openai_answer())

    with background(**WHOLE | {"chat": stopping}) as fake:
        assert speed(tmp_path, fake) == 130
    results = RunFolder(tmp_path / "run").results()
    assert "stopped before its end" in results.validity.warnings[0]
    assert not results.validity.complete
    assert results.validity.share_done
    assert 0 < results.validity.share_done < 1
    assert 5 <= sum(s.n for m in results.models for s in m.stages) < 20


def test_a_run_stopped_before_its_first_request_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def stopping(request: ReceivedRequest) -> AsyncIterator[bytes]:
        os.kill(os.getpid(), signal.SIGINT)
        yield STREAM + b"".join(openai_answer())

    with background(**WHOLE | {"chat": stopping}) as fake:
        assert speed(tmp_path, fake) == 130
    assert "SIGINT" in capsys.readouterr().err
    assert not RunFolder(tmp_path / "run").results().validity.valid


def test_workers_send_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lags: list[Mapping[str, Lag]] = []
    monkeypatch.setattr(LoopLagSampler, "add_worker", lambda _, run, stages: lags.append(stages))
    with background(**WHOLE) as fake:
        assert speed(tmp_path, fake, CONFIG, "--workers", "2") == 0
    folder = RunFolder(tmp_path / "run")
    _check_counts(fake, folder.results())
    sent = [r for r in folder.records() if not r.planned.warm_up]
    planned = [r for s in folder.plan().segments for r in s.requests]
    assert sorted(map(repr, (r.planned for r in sent))) == sorted(map(repr, planned))
    at_once = [r for r in sent if r.stage.startswith("closed-1-")]
    for before, after in pairwise(sorted(at_once, key=lambda r: r.sent_ns)):
        assert before.ended_ns <= after.sent_ns
    assert len(lags) == 2
    assert all(lag.keys() & {s.key for s in folder.plan().stages} for lag in lags)


def test_a_lost_worker_ends_the_run_and_keeps_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    async def killing(request: ReceivedRequest) -> AsyncIterator[bytes]:
        calls.append(1)
        if len(calls) == 30:
            for process in multiprocessing.active_children():
                process.kill()
        yield STREAM + b"".join(openai_answer())

    with background(**WHOLE | {"chat": killing}) as fake:
        assert speed(tmp_path, fake, CONFIG, "--workers", "2") == 1
    assert "exit code -9" in capsys.readouterr().err
    results = RunFolder(tmp_path / "run").results()
    assert sum(s.n for m in results.models for s in m.stages) > 5


def test_a_model_that_fails_in_a_row_is_stopped_with_the_cause(tmp_path: Path) -> None:
    calls: list[int] = []

    async def dying(request: ReceivedRequest) -> AsyncIterator[bytes]:
        small = request.body["model"] == "small"
        calls.extend([1] * small)
        dead = small and len(calls) > 10
        async for piece in (status(500, {"error": "gone"}) if dead else WHOLE["chat"])(request):
            yield piece

    config = CONFIG.replace("requests_per_block: 3", "requests_per_block: 20")
    with background(**WHOLE | {"chat": dying}) as fake:
        assert speed(tmp_path, fake, config) == 3
    small, large = RunFolder(tmp_path / "run").results().models
    assert (small.invalid_reason or "").startswith("stopped after 10 failures in a row")
    assert "gone (10)" in (small.invalid_reason or "")
    assert large.invalid_reason is None
    assert len(calls) < 25


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "--config", "nowhere"], "smoke"),
        (["plan", "--config", "nowhere"], "smoke"),
        (["run", "--only", "speed,accuracy"], "capacity"),
        (["run", "--only", ""], "capacity"),
        (["run", "--url", "ftp://host"], "--url"),
    ],
)
def test_an_invalid_command_line_exits_with_2(
    arguments: Sequence[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*arguments) == 2
    assert word in capsys.readouterr().err


def test_plan_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("plan", "--scenario", "size-sweep", "--models", "a,b") == 0
    output = capsys.readouterr().out
    assert "closed-8-fixed" in output
    assert "sha256" in output
    assert "minutes" in output


def test_url_and_key_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sizes.yaml"
    file.write_text(CONFIG + "target: {api_key_env: BENCH_KEY}\n")
    with background(**WHOLE) as fake:
        monkeypatch.setenv("SIZEUP_URL", fake.url)
        assert bench("run", "-c", str(file), "--out", str(tmp_path / "a")) == 2
        monkeypatch.setenv("BENCH_KEY", "secret")
        assert bench("run", "-c", str(file), "--out", str(tmp_path / "b")) == 0
    keys = {request.headers.get("authorization") for request in fake.requests}
    assert keys == {"Bearer secret"}
    written = b"".join(f.read_bytes() for f in (tmp_path / "b").iterdir())
    assert b"secret" not in written
    assert json.loads((tmp_path / "b" / "run.json").read_text())["complete"] is True


def test_the_key_can_be_in_a_key_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    monkeypatch.setenv("SIZEUP_API_KEY_FILE", str(keys))
    with background(**WHOLE) as fake:
        assert speed(tmp_path, fake) == 2
        keys.write_text("\n")
        assert speed(tmp_path, fake) == 2
        keys.write_text("\n# ours\n first requests_per_minute=600\nsecond\n")
        assert speed(tmp_path, fake) == 0
    assert {request.headers.get("authorization") for request in fake.requests} == {"Bearer first"}
    assert capsys.readouterr().err.count("SIZEUP_API_KEY_FILE: ") == 2


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_can_be_extracted_from_its_log(
    fails: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = "loop_lag_seconds: 0.0000001" if fails else "loop_lag_seconds: 5"
    (tmp_path / "sizes.yaml").write_text(CONFIG.replace("loop_lag_seconds: 5", limit))
    with background(**WHOLE) as fake:
        arguments = ("--url", fake.url, "--out", str(tmp_path / "run"), "--print-files")
        assert bench("run", "-c", str(tmp_path / "sizes.yaml"), *arguments) == (3 if fails else 0)
    log = tmp_path / "log"
    log.write_text("".join(f"[pod/x] {line}\n" for line in capsys.readouterr().out.splitlines()))
    assert bench("extract", str(log), "--out", str(tmp_path / "extracted")) == 0
    extracted = {path.name: path.read_bytes() for path in (tmp_path / "extracted").iterdir()}
    assert extracted == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert {"results.json", "records.jsonl", "report.html"} <= extracted.keys()


def test_a_report_is_written_beside_its_run(tmp_path: Path) -> None:
    with background(**WHOLE) as fake:
        assert speed(tmp_path, fake) == 0
    page = tmp_path / "run" / "report.html"
    for run in (page.parent, page.parent / "results.json"):
        page.unlink()
        assert bench("report", str(run)) == 0
        assert page.is_file()


def test_runs_without_a_common_model_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with background(**WHOLE) as fake:
        for model in ("small", "large"):
            out = ("--models", model, "--out", str(tmp_path / model))
            assert (
                bench("run", "--scenario", "smoke", "--only", "speed", "--url", fake.url, *out) == 0
            )
    compared = ("compare", str(tmp_path / "small"), str(tmp_path / "large"))
    capsys.readouterr()
    assert bench(*compared) == 1
    assert "nothing was compared" in capsys.readouterr().err
    assert bench(*compared, "--pair", "small=large") == 0
    assert "| small | closed-1-fixed | e2e |" in capsys.readouterr().out
    assert bench(*compared, "--pair", "small=medium") == 2
