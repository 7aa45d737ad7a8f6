import shutil
import sys
from pathlib import Path

import pytest

from sizeup.deployment.report import sizeup_command


def make_script(folder: Path) -> Path:
    script = folder / "bin" / "sizeup"
    script.parent.mkdir()
    script.touch(mode=0o755)
    return script


def test_the_command_is_a_path_when_not_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(make_script(tmp_path))])
    monkeypatch.chdir(tmp_path)
    assert sizeup_command() == "bin/sizeup"


def test_the_command_is_its_name_when_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = make_script(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", str(script.parent))
    assert shutil.which("sizeup") == str(script)
    assert sizeup_command() == "sizeup"
