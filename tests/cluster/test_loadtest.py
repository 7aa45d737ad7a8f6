"""The load test as Jobs of the chart, from their logs to a report."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.images import TAG
from cluster.kubectl import Json
from cluster.release import Release
from sizeup_loadtest.analysis.assemble import assemble
from sizeup_loadtest.storage import job_log, merge_shards
from sizeup_loadtest.storage.run_folder import RunFolder

MODELS = ("fake:small", "fake:large")
_SELECTOR = "app.kubernetes.io/component=loadtest"
_RUN_SECONDS = 300.0
_START_SECONDS = 60
"""For scheduling and starting two pods on a busy machine."""
_CONFIG: Json = {
    "models": list(MODELS),
    "max_tokens": 8,
    "load": {"blocks": 2, "warmup": 1, "closed": [2], "requests_per_block": 6},
    # Client and cluster share one machine, so delays are expected.
    "limits": {"max_send_lag_seconds": 30, "max_loop_lag_seconds": 30},
}


@pytest.fixture(scope="module")
def release(new_release: Callable[[str], Release]) -> Release:
    made = new_release("loadtest")
    made.install(_values())
    made.wait()
    return made


def _values(**loadtest: Json | int | bool) -> Json:
    keys = {name.replace(":", "-"): name for name in MODELS}
    models = {
        key: {"id": f"sizeup/{key}", "engine": "fake", "names": [name]}
        for key, name in keys.items()
    }
    own = {"image": {"tag": TAG}, "resources": {"cpu": "100m", "memory": "256Mi"}}
    return {"models": models, "loadtest": {**own, **loadtest}}


def _logged(release: Release, folder: Path, more: str = "") -> RunFolder:
    """Return the run contained in a pod's log."""
    log = release.kubectl("logs", f"--selector={_SELECTOR}{more}", "--tail=-1")
    made = RunFolder.create(folder)
    for name, data in job_log.decode(io.StringIO(log)).items():
        made.write(name, data)
    return made


def _wait_complete(release: Release) -> None:
    (job,) = (one for one in release.kubectl.names("jobs") if "loadtest" in one)
    release.kubectl.wait(f"job/{job}", "condition=complete", _RUN_SECONDS)


def test_single_pod_measures_all_models_and_logs_the_report(
    release: Release, tmp_path: Path
) -> None:
    release.install(_values(enabled=True, config=_CONFIG))
    _wait_complete(release)
    run = _logged(release, tmp_path / "run")
    assert [model.name for model in run.results().models] == list(MODELS)
    assert run.results().validity.error_share == 0
    assert (run.path / "report.html").is_file()


def test_shards_start_together_and_merge_into_one_run(release: Release, tmp_path: Path) -> None:
    load = {**_CONFIG["load"], "stage_seconds": 2, "drain_seconds": 5}
    start = int(time.time()) + _START_SECONDS
    config = {**_CONFIG, "load": load}
    release.install(_values(enabled=True, config=config, shards=2, startAt=start))
    _wait_complete(release)
    label = "batch.kubernetes.io/job-completion-index"
    folders = [_logged(release, tmp_path / str(i), f",{label}={i}") for i in range(2)]
    merged = merge_shards.merge(folders, tmp_path / "merged")
    counted = [record for record in merged.records() if not record.planned.warm_up]
    assert {record.shard for record in counted} == {0, 1}
    assert all(record.sent_ns >= 0 for record in counted)
    assert [model.name for model in assemble(merged).models] == list(MODELS)
