"""The program that describes models by their files."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sizeup_inference.describe import main
from sizeup_wire.model import ModelInfo

TOY = Path(__file__).parents[2] / "models" / "toy" / "toy-0.5m"


def described(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *settings: object
) -> list[ModelInfo | None]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(settings)))
    main()
    return [info and ModelInfo.model_validate(info) for info in json.loads(capsys.readouterr().out)]


def test_models_are_described_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SIZEUP_INFERENCE_MAX_MODEL_LEN", "100")
    (tmp_path / "config.json").write_text("[]")
    toy, fake, *unknown = described(
        monkeypatch,
        capsys,
        {"model": str(TOY), "model_id": "mine", "revision": None},
        {"model": "x", "engine": "fake"},
        {"model": str(tmp_path)},
        {"model": "org/none"},
    )
    assert toy is not None
    assert (toy.id, toy.parameters, toy.context_length) == ("mine", 554_624, 100)
    assert fake is not None
    assert fake.architecture == "fake"
    assert unknown == [None, None]


def test_it_imports_no_torch() -> None:
    code = "import sys, sizeup_inference.describe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
