"""A draft model beside the model of a process."""

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inference.engine.built_kernels import require_kernels
from inference.engine.engines import DEADLINE_SECONDS, Recorder, request
from sizeup_inference.engine.drafting.load_draft import LoadedDraft, fast_paths
from sizeup_inference.engine.loading import make_paged
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.loading.make_paged import AHEAD
from sizeup_inference.settings import Settings
from sizeup_inference.startup.load_model import start_engine
from sizeup_inference.startup.loaded_model import RunningModel
from sizeup_store.weights import WeightsError
from sizeup_wire.model import FastPath

TOYS = Path(__file__).parents[3] / "models" / "toy"
LARGE, SMALL = TOYS / "toy-5m", TOYS / "toy-0.5m"
PROMPT = [1, 2, 3, 4, 5, 6, 7]
PAGE_TOKENS = {True: 32, False: 16}
"""By whether the compiled decoder is used."""


def settings(model: Path, draft: Path | None, **changes: object) -> Settings:
    names = {"model": str(model), "draft_model": draft and str(draft)}
    fixed = {"max_num_seqs": 4, "threads": 1, "device": "cpu"}
    return Settings.model_validate(names | fixed | changes)


def start(configured: Settings, recorder: Recorder) -> RunningModel:
    return start_engine(configured, recorder, lambda *_: None)


def drafting(running: RunningModel) -> FastPath:
    (path,) = [path for path in running.info.fast_paths if path.name == "drafting"]
    return path


@pytest.mark.parametrize("compiled", [True, False])
def test_a_smaller_model_of_the_same_vocabulary_drafts(compiled: bool) -> None:
    if compiled:
        require_kernels()
    answers, infos = [], []
    for draft in (None, SMALL):
        recorder = Recorder()
        running = start(settings(LARGE, draft, compiled_kernels=compiled), recorder)
        try:
            running.engine.submit(request("a", PROMPT, 40))
            recorder.wait_ended(["a"])
            answers.append(recorder.tokens("a"))
            infos.append(running.info)
            assert (running.engine.stats().draft_tokens > 0) is (draft is not None)
        finally:
            running.engine.close(DEADLINE_SECONDS)
    assert answers[0] == answers[1]
    assert drafting(running) == FastPath(name="drafting", enabled=True)
    assert not any(path.name == "drafting" for path in infos[0].fast_paths)
    # float32 weights, and buffers
    assert infos[1].memory_bytes - infos[0].memory_bytes == pytest.approx(4 * 554_624, rel=0.01)


@pytest.mark.parametrize("compiled", [True, False])
def test_the_models_share_the_memory_of_the_kv_cache(compiled: bool) -> None:
    if compiled:
        require_kernels()
    configured = settings(LARGE, SMALL, compiled_kernels=compiled, kv_cache_bytes=4_000_000)
    running = start(configured, Recorder())
    try:
        # Keys and values, float32, layers * heads * head_dim
        bytes_per_token = 2 * 4 * (8 * 4 * 32 + 3 * 2 * 32)
        page_bytes = bytes_per_token * PAGE_TOKENS[compiled]
        assert running.engine.stats().pages_total == 4_000_000 // page_bytes
    finally:
        running.engine.close(DEADLINE_SECONDS)


def test_a_draft_model_that_is_not_faster_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        running = start(settings(SMALL, LARGE), Recorder())
    try:
        path = drafting(running)
        assert not path.enabled
        assert path.reason
        assert "drafting.loaded" in caplog.messages
        assert running.engine.stats().draft_tokens == 0
    finally:
        running.engine.close(DEADLINE_SECONDS)


def test_no_step_is_launched_ahead_of_drafts() -> None:
    ahead = make_paged.FastPath(AHEAD, enabled=True)
    other = make_paged.FastPath("other", enabled=True)
    target: Any = SimpleNamespace(fast_paths=(other, ahead))
    path = make_paged.FastPath("drafting", enabled=True)
    drafter: Any = object()
    used = fast_paths(target, LoadedDraft(path, drafter))
    assert [(p.name, p.enabled) for p in used] == [
        ("other", True),
        (AHEAD, False),
        ("drafting", True),
    ]
    assert fast_paths(target, LoadedDraft(path)) == (other, ahead, path)


def test_another_vocabulary_is_an_error_with_both_models(tmp_path: Path) -> None:
    shutil.copytree(SMALL, tmp_path, dirs_exist_ok=True)
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(LoadError) as caught:
        start(settings(LARGE, tmp_path), Recorder())
    assert str(tmp_path) in str(caught.value)
    assert str(LARGE) in str(caught.value)


@pytest.mark.parametrize("embeds", ["model", "draft"])
def test_models_for_embeddings_neither_draft_nor_are_drafted_for(
    tmp_path: Path, embeds: str
) -> None:
    shutil.copytree(LARGE if embeds == "model" else SMALL, tmp_path, dirs_exist_ok=True)
    modules = [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": "lasttoken"}')
    pair = (tmp_path, SMALL) if embeds == "model" else (LARGE, tmp_path)
    with pytest.raises(LoadError, match="embeddings"):
        start(settings(*pair), Recorder())


def test_a_model_on_several_ranks_has_no_draft_model() -> None:
    with pytest.raises(LoadError, match="tensor_parallel 2"):
        start(settings(LARGE, SMALL, tensor_parallel=2), Recorder())


def test_a_missing_draft_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        start(settings(LARGE, tmp_path), Recorder())
