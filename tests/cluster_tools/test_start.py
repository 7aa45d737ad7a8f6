"""A cluster that does not come up is gone again, whichever step it was that failed."""

from pathlib import Path

import pytest

from cluster.images import SavedImage
from cluster.own import cgroups
from cluster.own.binaries import Binaries
from cluster.own.cluster import OwnCluster
from cluster_tools.recording_builder import RecordingBuilder

PAUSE = SavedImage(RecordingBuilder(), "sizeup.test/pause:1")
STEPS = ("__init__", "start_runtime")


class Breaking:
    """What is started, up to one of its steps."""

    ended: list[str]
    at: str

    def __init__(self, _binaries: Binaries, folder: Path, _logs: Path, _pause: str) -> None:
        folder.mkdir()
        self.kubectl = self.kubeconfig = None
        self._break("__init__")

    def start_runtime(self) -> None:
        self._break("start_runtime")

    def stop(self) -> None:
        self.ended.append("stopped")

    def _break(self, step: str) -> None:
        if step == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", STEPS)
def test_a_start_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(cgroups, "remove", lambda: ended.append("swept"))
    monkeypatch.setattr(Breaking, "ended", ended, raising=False)
    monkeypatch.setattr(Breaking, "at", step, raising=False)
    monkeypatch.setattr("cluster.own.cluster.Started", Breaking)
    programs = Binaries(tmp_path, tmp_path, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        OwnCluster(tmp_path, programs, PAUSE)
    assert not (tmp_path / "run").exists()
    # What an earlier run has left is swept first.
    assert ended == ["swept", *(["stopped"] if step == "start_runtime" else []), "swept"]
