"""A cluster whose start fails is cleaned up, whichever step failed."""

from pathlib import Path

import pytest

from cluster.images import SavedImage
from cluster.own import cgroups
from cluster.own.binaries import Binaries
from cluster.own.own_cluster import OwnCluster
from cluster_tools.recording_builder import RecordingBuilder

PAUSE = SavedImage(RecordingBuilder(), "sizeup.test/pause:1")
STEPS = ("__init__", "start_runtime")


class FailingProcesses:
    """Processes that fail at one of their steps."""

    calls: list[str]
    at: str

    def __init__(self, _binaries: Binaries, folder: Path, _logs: Path, _pause: str) -> None:
        folder.mkdir()
        self.kubectl = self.kubeconfig = None
        self._fail_at("__init__")

    def start_runtime(self) -> None:
        self._fail_at("start_runtime")

    def stop(self) -> None:
        self.calls.append("stop")

    def _fail_at(self, step: str) -> None:
        if step == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", STEPS)
def test_interrupted_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(cgroups, "remove", lambda: calls.append("remove"))
    monkeypatch.setattr(FailingProcesses, "calls", calls, raising=False)
    monkeypatch.setattr(FailingProcesses, "at", step, raising=False)
    monkeypatch.setattr("cluster.own.own_cluster.Processes", FailingProcesses)
    programs = Binaries(tmp_path, tmp_path, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        OwnCluster(tmp_path, programs, PAUSE)
    assert not (tmp_path / "run").exists()
    # The leftovers of an earlier run are removed first.
    assert calls == ["remove", *(["stop"] if step == "start_runtime" else []), "remove"]
