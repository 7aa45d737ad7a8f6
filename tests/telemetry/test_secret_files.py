import logging
from pathlib import Path

import pytest

from sizeup_telemetry.secret_files import exposed_mode, exposure_warning, log_exposure


@pytest.mark.parametrize(
    ("mode", "exposed"),
    [
        (0o600, None),
        (0o400, None),
        (0o440, None),  # Kubernetes' Secrets with the pod's fsGroup
        (0o660, None),
        (0o711, None),
        (0o644, "0644"),
        (0o604, "0604"),
        (0o602, "0602"),
        (0o777, "0777"),
    ],
)
def test_access_of_others_is_named_by_the_mode(
    tmp_path: Path, mode: int, exposed: str | None
) -> None:
    file = tmp_path / "keys"
    file.touch()
    file.chmod(mode)
    assert exposed_mode(file) == exposed
    assert (exposure_warning(file) or "").count(f"mode {exposed}:") == (exposed is not None)


def mounted(folder: Path, mode: int) -> Path:
    """Make a Secret as the kubelet does: links to a folder for each version."""
    version = folder / "..2030_01_01"
    version.mkdir()
    (version / "keys").touch()
    (version / "keys").chmod(mode)
    (folder / "..data").symlink_to(version.name)
    (folder / "keys").symlink_to("..data/keys")
    return folder / "keys"


@pytest.mark.parametrize(("mode", "exposed"), [(0o440, None), (0o644, "0644")])
def test_links_are_followed(tmp_path: Path, mode: int, exposed: str | None) -> None:
    assert exposed_mode(mounted(tmp_path, mode)) == exposed


def test_a_missing_file_is_the_error_of_its_reader(tmp_path: Path) -> None:
    assert exposed_mode(tmp_path / "none") is None
    assert exposure_warning(tmp_path / "none") is None


def test_the_log_has_the_file_and_its_mode(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = mounted(tmp_path, 0o644)
    log_exposure(file)
    (record,) = caplog.records
    assert (record.levelno, record.message) == (logging.WARNING, "secret_file.exposed")
    assert (vars(record)["file"], vars(record)["mode"]) == (str(file), "0644")
