"""The load test as Jobs of the chart, from their logs to a report."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.images import TAG
from cluster.kubectl import Json
from cluster.release import Release
from sizeup_loadtest.storage import job_log
from sizeup_loadtest.storage.run_folder import RunFolder

MODELS = ("fake:small", "fake:large")
_SELECTOR = "app.kubernetes.io/component=loadtest"
_RUN_SECONDS = 300.0
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


def _logged(release: Release, folder: Path) -> RunFolder:
    """Return the run contained in a pod's log."""
    log = release.kubectl("logs", f"--selector={_SELECTOR}", "--tail=-1")
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
