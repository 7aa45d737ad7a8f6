"""The models of the tests: a toy model, and one of the same size whose output never ends.

The second has no end-of-sequence token and a final norm of zeros, so all tokens are equally likely
and a response has exactly the requested length. It is in a Hugging Face cache, like a pulled model,
under an id with a slash.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

TOY_FOLDER = Path(__file__).resolve().parents[2] / "models" / "toy" / "toy-0.5m"
TOY = "toy:0.5m"
TOY_ID = "toy-0.5m"

ENDLESS = "sizeup-tests/Endless-Toy"
ENDLESS_KEY = "sizeup-tests-endless-toy"
_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_UNIFORM = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


def make_endless(cache: Path) -> None:
    """Write the model to a cache."""
    repository = cache / f"models--{ENDLESS.replace('/', '--')}"
    snapshot = repository / "snapshots" / _COMMIT
    shutil.copytree(TOY_FOLDER, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(_COMMIT)
    (snapshot / "generation_config.json").write_text(json.dumps(_UNIFORM))
    _change(snapshot / "tokenizer_config.json", eos_token=None)
    weights = load_file(snapshot / "model.safetensors")
    weights["model.norm.weight"] = torch.zeros_like(weights["model.norm.weight"])
    save_file(weights, snapshot / "model.safetensors", metadata={"format": "pt"})


def _change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
