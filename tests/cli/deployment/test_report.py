import shutil
import sys
from pathlib import Path

import pytest

from cli.deployment.test_plan import options
from inference.models import model_info
from sizeup.deployment.report import example_commands, sizeup_command
from sizeup.models.local_models import LocalModel
from sizeup_wire.catalog import CatalogEntry


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


@pytest.mark.parametrize(
    ("capability", "paths"),
    [
        ("completion", ["/api/chat", "/v1/chat/completions"]),
        ("embedding", ["/api/embed", "/v1/embeddings"]),
    ],
)
def test_the_examples_are_what_the_model_can_do(
    tmp_path: Path, capability: str, paths: list[str]
) -> None:
    model = LocalModel("m", CatalogEntry(id="m", names=("m:latest",)), "m", tmp_path)
    info = model_info(capabilities=(capability,))
    lines = example_commands(model, info, options(tmp_path))
    curls = [line.split()[1] for line in lines if line.startswith("curl ")]
    assert curls == [f"http://127.0.0.1:11434{path}" for path in paths]
