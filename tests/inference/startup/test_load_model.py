import hashlib
import json
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen3ForCausalLM, Qwen3Model

from inference.engine.built_kernels import require_kernels
from inference.engine.engines import DEADLINE_SECONDS, Recorder, random_model, request
from inference.engine.random_configs import random_config
from sizeup_inference.engine.loading.load_error import LoadError
from sizeup_inference.engine.protocol import Embedded, Pooling
from sizeup_inference.settings import Settings
from sizeup_inference.startup.load_model import (
    available_cpus,
    context_length,
    start_engine,
)
from sizeup_inference.startup.model_info import (
    describe_folder,
    read_eos_token_ids,
    read_sampling,
)
from sizeup_store.weights import WeightsError
from sizeup_wire.model import ModelInfo

PROMPT = [1, 2, 3, 4, 5, 6, 7]
TOY = Path(__file__).parents[3] / "models" / "toy" / "toy-0.5m"


def make_settings(folder: Path, **changes: object) -> Settings:
    return Settings.model_validate(
        {"model": str(folder), "max_num_seqs": 4, "threads": 1, "device": "cpu", **changes}
    )


def ignore(_stage: str, _progress: float) -> None:
    """Ignore the progress of loading."""


def test_a_started_engine_generates_and_is_described() -> None:
    require_kernels()
    recorder = Recorder()
    stages: list[str] = []
    running = start_engine(make_settings(TOY), recorder, lambda stage, _: stages.append(stage))
    try:
        running.engine.submit(request("a", [1, 2, 3], 5))
        recorder.wait_ended(["a"])
        assert len(recorder.tokens("a")) == 5
        assert running.info.id == "toy-0.5m"
        assert running.info.architecture == "qwen2"
        assert running.info.parameters > 400_000
        assert running.info.dtype == "float32"
        assert running.info.load_ns > 0
        assert running.info.kernels in {"amx", "avx512_bf16", "portable"}
        buffers = running.info.memory_bytes - 4 * running.info.parameters
        assert 0 <= buffers < 10_000
        assert running.info.device_bytes == 0
        assert {"completion", "tools"} <= set(running.info.capabilities)
        assert stages == ["verify", "load", "warm up"]
        check_that_only_loading_changes(describe_folder(make_settings(TOY), TOY), running.info)
    finally:
        running.engine.close(DEADLINE_SECONDS)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("architecture", [Qwen3Model, Qwen3ForCausalLM])
def test_an_embedding_model_needs_no_output_head(
    tmp_path: Path, architecture: type[PreTrainedModel], compiled: bool
) -> None:
    """Qwen3-Embedding-8B has none, and sentence-transformers saves the bare decoder."""
    config = random_config("qwen3-gqa2-untied")
    torch.manual_seed(1)
    model = architecture(config)
    model.eval()  # type: ignore[no-untyped-call]
    model.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOY / name, tmp_path)
    modules = [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": "lasttoken"}')
    recorder = Recorder()
    running = start_engine(make_settings(tmp_path, compiled_kernels=compiled), recorder, ignore)
    try:
        assert running.info.capabilities == ("embedding",)
        assert running.embedding.pooling is Pooling.LAST
        running.engine.submit(request("a", PROMPT, embed=running.embedding.pooling))
        recorder.wait_ended(["a"])
        embedded = recorder.events["a"][-1]
    finally:
        running.engine.close(DEADLINE_SECONDS)
    with torch.inference_mode():
        hidden = model.get_decoder()(torch.tensor([PROMPT])).last_hidden_state[0]  # type: ignore[no-untyped-call]
    assert isinstance(embedded, Embedded)
    torch.testing.assert_close(torch.tensor(embedded.vector), hidden[-1], atol=1e-4, rtol=1e-4)


def test_bidirectional_attention_is_refused(tmp_path: Path) -> None:
    shutil.copytree(TOY, tmp_path, dirs_exist_ok=True)
    config = json.loads((TOY / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"is_causal": False}))
    with pytest.raises(LoadError, match="bidirectional"):
        start_engine(make_settings(tmp_path), Recorder(), ignore)


def check_that_only_loading_changes(by_files: ModelInfo, loaded: ModelInfo) -> None:
    decided = {"memory_bytes", "device", "kernels", "fast_paths", "load_ns", "longest_token"}
    assert by_files.model_dump(exclude=decided) == loaded.model_dump(exclude=decided)
    assert by_files.stored_as == "F16"
    assert (by_files.head_dim, by_files.rms_norm_eps) == (32, 1e-6)


def test_compiled_kernels_can_be_switched_off() -> None:
    running = start_engine(make_settings(TOY, compiled_kernels=False), Recorder(), ignore)
    running.engine.close(DEADLINE_SECONDS)
    assert running.info.kernels == "transformers"
    assert running.info.context_length == 2048


def test_a_small_pool_reduces_the_context_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    settings = make_settings(TOY, kv_cache_bytes=100_000)  # a few pages
    running = start_engine(settings, Recorder(), ignore)
    try:
        assert running.info.context_length < 2048
        assert running.info.context_length % running.engine.stats().pages_total == 0
        assert "context.reduced" in caplog.messages
    finally:
        running.engine.close(DEADLINE_SECONDS)


def test_warm_up_events_are_not_delivered() -> None:
    recorder = Recorder()
    running = start_engine(make_settings(TOY), recorder, ignore)
    try:
        assert recorder.batches == []
        assert running.engine.stats().completion_tokens == 1
    finally:
        running.engine.close(DEADLINE_SECONDS)


def test_a_small_pool_bounds_the_context() -> None:
    settings = make_settings(TOY, kv_cache_bytes=1_000_000)
    running = start_engine(settings, Recorder(), ignore)
    try:
        assert running.info.context_length < 2048
        assert running.info.context_length % running.engine.stats().pages_total == 0
    finally:
        running.engine.close(DEADLINE_SECONDS)


def test_a_model_whose_first_token_fails_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("device lost")

    monkeypatch.setattr("sizeup_inference.engine.model_runner.ModelRunner.launch", broken)
    before = threading.active_count()
    with pytest.raises(LoadError, match="first token failed"):
        start_engine(make_settings(TOY), Recorder(), ignore)
    assert threading.active_count() <= before + 1


def test_a_context_beyond_the_models_is_rejected() -> None:
    with pytest.raises(LoadError, match="max_model_len 4096 exceeds"):
        start_engine(make_settings(TOY, max_model_len=4096), Recorder(), ignore)


def test_an_empty_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        start_engine(make_settings(tmp_path), Recorder(), ignore)


def cached_toy(cache: Path, weights: bytes, digest: str) -> Settings:
    """Return settings for a toy model in a Hugging Face cache, in a blob of this sha256."""
    repository, commit = cache / "models--test--toy", "0" * 40
    snapshot = repository / "snapshots" / commit
    shutil.copytree(TOY, snapshot, ignore=shutil.ignore_patterns("model.safetensors"))
    (repository / "blobs").mkdir()
    (repository / "blobs" / digest).write_bytes(weights)
    (snapshot / "model.safetensors").symlink_to(Path("..", "..", "blobs", digest))
    return make_settings(Path("test/toy"), revision=commit, HF_HUB_CACHE=str(cache))


def test_the_checksums_of_a_cached_model_are_verified(tmp_path: Path) -> None:
    weights = (TOY / "model.safetensors").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    running = start_engine(cached_toy(tmp_path / "intact", weights, digest), Recorder(), ignore)
    running.engine.close(DEADLINE_SECONDS)
    flipped = weights[:-1] + bytes([weights[-1] ^ 1])
    with pytest.raises(WeightsError, match="checksum mismatch"):
        start_engine(cached_toy(tmp_path / "corrupt", flipped, digest), Recorder(), ignore)


def test_a_checksum_mismatch_explains_an_error_of_loading(tmp_path: Path) -> None:
    weights = (TOY / "model.safetensors").read_bytes()
    settings = cached_toy(tmp_path, weights, "0" * 64)
    with pytest.raises(WeightsError, match="checksum mismatch") as caught:
        start_engine(settings.model_copy(update={"device": "cuda:99"}), Recorder(), ignore)
    assert isinstance(caught.value.__context__, LoadError)


@pytest.mark.parametrize(("requested", "expected"), [(None, 2048), (100, 100), (2048, 2048)])
def test_the_context_is_the_requested_or_trained_length(
    requested: int | None, expected: int
) -> None:
    assert context_length(2048, requested) == expected


def cgroup_of(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {"cpu.max": "50000 100000"},
        {"cpu.max": "100000 100000"},
        {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
    ],
)
def test_the_quota_of_the_cgroup_limits_the_cpus(tmp_path: Path, files: Mapping[str, str]) -> None:
    assert available_cpus(cgroup_of(tmp_path, files)) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"cpu.max": "max 100000"},
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
    ],
)
def test_without_a_quota_every_cpu_is_available(tmp_path: Path, files: Mapping[str, str]) -> None:
    unlimited = available_cpus(tmp_path / "no-cgroup")
    assert unlimited >= 1
    assert available_cpus(cgroup_of(tmp_path, files)) == unlimited


def test_sampling_defaults_come_from_the_generation_config(tmp_path: Path) -> None:
    config = {"do_sample": False, "top_p": 0.8, "top_k": None, "eos_token_id": [7, 9]}
    (tmp_path / "generation_config.json").write_text(json.dumps(config))
    assert read_sampling(tmp_path).model_dump(exclude_none=True) == {"top_p": 0.8}
    assert read_eos_token_ids(tmp_path, 7) == (7, 9)
    assert read_eos_token_ids(tmp_path, None) == (7, 9)


def test_out_of_range_defaults_are_ignored(tmp_path: Path) -> None:
    config = {"temperature": 0, "top_k": -1, "top_p": 0.0, "min_p": "x", "repetition_penalty": 1.1}
    (tmp_path / "generation_config.json").write_text(json.dumps(config))
    sampling = read_sampling(tmp_path).model_dump(exclude_none=True)
    assert sampling == {"temperature": 0, "repetition_penalty": 1.1}


@pytest.mark.parametrize(
    ("named", "expected"), [(None, (3,)), ([None, 5], (3, 5)), (3, (3,)), ([], (3,))]
)
def test_eos_tokens_default_to_the_tokenizers(
    tmp_path: Path, named: object, expected: tuple[int, ...]
) -> None:
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": named}))
    assert read_eos_token_ids(tmp_path, 3) == expected


def test_an_invalid_generation_config_is_named(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text("<html>")
    with pytest.raises(WeightsError, match=r"generation_config\.json"):
        read_sampling(tmp_path)


def test_contradictory_limits_are_rejected_before_loading() -> None:
    stages: list[str] = []
    settings = make_settings(TOY, max_num_seqs=64, max_num_batched_tokens=64)
    with pytest.raises(ValueError, match="max_num_batched_tokens"):
        start_engine(settings, Recorder(), lambda stage, _: stages.append(stage))
    assert stages == ["verify"]


def test_without_generation_config_nothing_has_a_default(tmp_path: Path) -> None:
    assert read_sampling(tmp_path).model_dump(exclude_none=True) == {}
    assert read_eos_token_ids(tmp_path, 3) == (3,)


def test_the_digest_changes_with_the_weights(tmp_path: Path) -> None:
    config = Qwen2Config(
        vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    random_model(config, seed=1).save_pretrained(tmp_path)
    settings = make_settings(tmp_path)
    first = describe_folder(settings, tmp_path)
    assert first.license == ""
    assert first.digest == describe_folder(settings, tmp_path).digest
    random_model(config, seed=2).save_pretrained(tmp_path)
    (tmp_path / "LICENSE").write_text("free")
    second = describe_folder(settings, tmp_path)
    assert second.digest != first.digest
    assert second.license == "free"
    modules = [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    third = describe_folder(settings, tmp_path)
    assert third.digest != second.digest
    assert third.capabilities == ("embedding",)
