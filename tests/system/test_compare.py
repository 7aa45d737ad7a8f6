"""Twelve sizes of the fake engine in one comparison: a process each."""

import json
import urllib.request
from pathlib import Path

import torch
from safetensors.torch import save_file

from system.deployment import deployed

SIZES = [f"size-{i:02}" for i in range(12)]


def make_folder(folder: Path) -> Path:
    """Write what `up` checks of a model; the fake engine reads no weights."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    save_file({"weight": torch.zeros(1)}, folder / "model.safetensors")
    return folder


def test_twelve_processes_answer_in_one_stream(tmp_path: Path) -> None:
    folders = [str(make_folder(tmp_path / name)) for name in SIZES]
    with deployed(tmp_path, "--models", ",".join(folders), SIZEUP_ENGINE="fake") as deployment:
        body = {"models": SIZES, "prompt": "What a day", "samples": 5}
        request = urllib.request.Request(
            f"{deployment.url}/api/compare", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            chunks = [json.loads(line) for line in response]
    ends = [chunk for chunk in chunks[:-1] if chunk["done"]]
    assert len(ends) == 60
    assert {end["done_reason"] for end in ends} == {"stop"}
    assert all("What a day" in end["text"] for end in ends)
    assert {end["model"] for end in ends} == {f"{name}:latest" for name in SIZES}
    assert chunks[-1]["compare"]["answered"] == 60
    assert len(chunks[-1]["compare"]["agreement"]["same"]) == 12
