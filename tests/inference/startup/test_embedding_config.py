"""The files of sentence-transformers: how a model makes vectors."""

import json
from pathlib import Path
from typing import Any

import pytest

from sizeup_inference.engine.protocol import Pooling
from sizeup_inference.requests.vectors import EmbeddingConfig
from sizeup_inference.startup.embedding_config import read_embedding_config
from sizeup_store.weights import WeightsError


def write(
    folder: Path, pooling: dict[str, Any], *kinds: str, path: str = "1_Pooling", old: bool = True
) -> Path:
    """Write the files for steps of these kinds."""
    prefix = "sentence_transformers.models" if old else "sentence_transformers.base.modules.x"
    modules = [
        {"idx": i, "path": path if kind == "Pooling" else "", "type": f"{prefix}.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def flags(*on: str) -> dict[str, Any]:
    """Return the config of Qwen3-Embedding, with other flags."""
    names = (
        "cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens",
        "lasttoken",
    )  # fmt: skip
    modes = {f"pooling_mode_{name}": name in on for name in names}
    return {"word_embedding_dimension": 1024, **modes, "include_prompt": True}


def test_a_folder_without_modules_is_not_made_for_embeddings(tmp_path: Path) -> None:
    assert read_embedding_config(tmp_path) is None


def test_qwen3_embedding_takes_the_last_token_and_normalizes(tmp_path: Path) -> None:
    folder = write(tmp_path, flags("lasttoken"), "Transformer", "Pooling", "Normalize")
    assert read_embedding_config(folder) == EmbeddingConfig(Pooling.LAST, normalize=True)


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        (flags("cls_token"), Pooling.CLS),
        (flags("mean_tokens"), Pooling.MEAN),
        (flags("lasttoken"), Pooling.LAST),
        (flags(), Pooling.MEAN),
        ({"pooling_mode": "cls"}, Pooling.CLS),
        ({"pooling_mode": "mean"}, Pooling.MEAN),
        ({"pooling_mode": ["lasttoken"]}, Pooling.LAST),
    ],
)
@pytest.mark.parametrize("old", [True, False])
def test_every_form_of_the_config_is_read(
    tmp_path: Path, config: dict[str, Any], pooling: Pooling, old: bool
) -> None:
    folder = write(tmp_path, config, "Transformer", "Pooling", old=old)
    assert read_embedding_config(folder) == EmbeddingConfig(pooling, normalize=False)


@pytest.mark.parametrize(
    "config",
    [
        flags("max_tokens"),
        flags("weightedmean_tokens"),
        flags("cls_token", "mean_tokens"),
        {"pooling_mode": ["cls", "lasttoken"]},
        {"pooling_mode": "max"},
        {"pooling_mode": 3},
    ],
)
def test_a_pooling_that_would_be_computed_wrongly_is_refused(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    with pytest.raises(WeightsError, match="pooling_mode"):
        read_embedding_config(write(tmp_path, config, "Transformer", "Pooling"))


@pytest.mark.parametrize(
    "kinds", [("Transformer", "Pooling", "Dense"), ("Transformer",), ("Pooling", "Pooling"), ()]
)
def test_steps_that_would_be_left_out_are_refused(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    with pytest.raises(WeightsError, match=r"modules\.json"):
        read_embedding_config(write(tmp_path, flags("lasttoken"), *kinds))


@pytest.mark.parametrize("path", ["../1_Pooling", "/1_Pooling", "", "2_Pooling"])
def test_a_config_outside_its_subfolder_is_not_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(WeightsError):
        read_embedding_config(write(tmp_path, flags("lasttoken"), "Pooling", path=path))


@pytest.mark.parametrize("content", ["", "{}", "[1]", "<html>"])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "modules.json").write_text(content)
    with pytest.raises(WeightsError, match=r"modules\.json"):
        read_embedding_config(tmp_path)
