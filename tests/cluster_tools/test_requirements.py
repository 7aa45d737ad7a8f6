"""Reasons why the cluster tests cannot start a cluster on a machine."""

import os
import sys
from pathlib import Path

import pytest

from cluster.own import requirements


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Simulate root on Linux with all requirements; return the only folder on PATH."""
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


def test_all_requirements_are_met(programs: Path) -> None:
    assert requirements.unavailable_reason() is None
    assert requirements.missing_packages() == []


def test_other_operating_system_is_referred_to_kind(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "--cluster=kind" in (requirements.unavailable_reason() or "")


def test_unprivileged_user_is_referred_to_kind(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert (requirements.unavailable_reason() or "").startswith("requires root")


def test_installable_packages_are_no_obstacle(programs: Path) -> None:
    (programs / "etcd").unlink()
    (requirements.CNI_FOLDER / "bridge").unlink()
    assert requirements.missing_packages() == ["etcd-server", "containernetworking-plugins"]
    assert requirements.unavailable_reason() is None
    (programs / "apt-get").unlink()
    reason = "requires etcd-server, containernetworking-plugins"
    assert (requirements.unavailable_reason() or "").startswith(reason)


def test_go_must_be_installed(programs: Path) -> None:
    (programs / "go").unlink()
    assert (requirements.unavailable_reason() or "").startswith("requires Go")
