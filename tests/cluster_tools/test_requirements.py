"""Why a machine cannot have a cluster of its own, in words for whoever runs the cluster tests."""

import os
import sys
from pathlib import Path

import pytest

from cluster.own import requirements


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend to be root on a Linux with all that is needed; return the only folder of PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in (*requirements.PACKAGES, "go", "apt-get"):
        (folder / name).touch(0o755)
    (tmp_path / "cni").mkdir()
    (tmp_path / "cni" / "bridge").touch()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "CNI_FOLDER", tmp_path / "cni")
    return folder


def test_a_machine_that_has_everything_is_good_enough(programs: Path) -> None:
    assert requirements.why_not() is None
    assert requirements.missing_packages() == []


def test_another_system_is_sent_to_kind(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "this is darwin; --cluster=kind" in (requirements.why_not() or "")


def test_somebody_else_than_root_is_sent_to_kind(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert (requirements.why_not() or "").startswith("needs root")


def test_what_can_be_installed_is_no_reason(programs: Path) -> None:
    (programs / "etcd").unlink()
    (requirements.CNI_FOLDER / "bridge").unlink()
    assert requirements.missing_packages() == ["etcd-server", "containernetworking-plugins"]
    assert requirements.why_not() is None
    (programs / "apt-get").unlink()
    needs = "needs etcd-server, containernetworking-plugins, and there is no apt-get"
    assert (requirements.why_not() or "").startswith(needs)


def test_go_is_not_installed_for_anybody(programs: Path) -> None:
    (programs / "go").unlink()
    assert (requirements.why_not() or "").startswith("needs Go")
