from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants

from hub_server import MODEL_ID, WEIGHTS, HubServer
from sizeup_store.stored import check_stored
from sizeup_store.weights import WeightsError, find_model, verify_checksums
from store.test_weights import COMMIT, CONFIG, cached_model, flip_last_byte, whole_model

MODEL = "Qwen/tiny"


def cached(cache: Path) -> Path:
    """A cache as `hf download` leaves it: without our marker."""
    snapshot = cached_model(cache)
    (snapshot / "tokenizer.json").write_text("{}")
    return snapshot


def folder(path: Path) -> Path:
    made = whole_model(path)
    (made / "tokenizer.json").write_text("{}")
    return made


def refusal(model: str, cache: Path, revision: str | None = None) -> str:
    with pytest.raises(WeightsError) as raised:
        check_stored(model, revision, cache)
    return str(raised.value)


def test_a_cache_of_another_tool_is_used(tmp_path: Path) -> None:
    snapshot = cached(tmp_path)
    for revision in (None, "main", COMMIT):
        assert check_stored(MODEL, revision, tmp_path) == snapshot


def test_a_cache_may_be_in_the_folder_hub(tmp_path: Path) -> None:
    """As on a volume that was mounted as HF_HOME."""
    snapshot = cached(tmp_path / "hub")
    assert check_stored(MODEL, None, tmp_path) == find_model(MODEL, None, tmp_path) == snapshot


def test_a_folder_is_used(tmp_path: Path) -> None:
    made = folder(tmp_path / "qwen")
    assert check_stored(str(made), None, tmp_path / "cache") == made
    (made / "tokenizer.json").unlink()
    for name in ("vocab.json", "merges.txt"):
        (made / name).write_text("{}")
    assert check_stored(str(made), None, tmp_path / "cache") == made


def test_what_the_cache_has_instead_is_listed(tmp_path: Path) -> None:
    assert "nothing" in refusal(MODEL, tmp_path)
    cached(tmp_path)
    assert MODEL in refusal("Qwen/other", tmp_path)
    said = refusal(MODEL, tmp_path, "v2")
    assert all(part in said for part in ("v2", "main", COMMIT))
    (tmp_path / "models--Qwen--tiny/refs/main").unlink()
    assert COMMIT in refusal(MODEL, tmp_path)


def test_what_a_folder_has_instead_is_listed(tmp_path: Path) -> None:
    folder(tmp_path / "volume" / "qwen")
    assert "qwen" in refusal(str(tmp_path / "volume" / "qwen-7b"), tmp_path)
    assert "qwen" in refusal(str(tmp_path / "volume"), tmp_path)
    assert "volume" in refusal(str(tmp_path / "absent" / "qwen"), tmp_path)


def test_a_cache_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    cached(tmp_path)
    assert MODEL in refusal(str(tmp_path), tmp_path / "cache")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path)
    (made / name).unlink()
    assert name in refusal(str(made), tmp_path)


def test_every_missing_shard_is_named(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / "model.safetensors").unlink()
    (made / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}'
    )
    said = refusal(str(made), tmp_path)
    assert all(name in said for name in ("1.safetensors", "2.safetensors"))


def test_a_link_that_leads_out_of_the_volume_is_named(tmp_path: Path) -> None:
    snapshot = cached(tmp_path)
    weights = snapshot / "model.safetensors"
    weights.unlink()
    weights.symlink_to("/store/of/another/node/blob")
    assert "/store/of/another/node/blob" in refusal(MODEL, tmp_path)


def test_what_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / "config.json").write_bytes(CONFIG.replace(b"{", b'{"auto_map": {"a": "b"},', 1))
    assert "trust_remote_code" in refusal(str(made), tmp_path)
    other = whole_model(tmp_path / "gguf")
    (other / "model.safetensors").rename(other / "model.gguf")
    assert "GGUF" in refusal(str(other), tmp_path)
    made = folder(tmp_path / "cut")
    (made / "model.safetensors").write_bytes((made / "model.safetensors").read_bytes()[:-1])
    assert "model.safetensors" in refusal(str(made), tmp_path)


def test_a_cache_that_huggingface_hub_fills_is_used(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    api, cache = HfApi(endpoint=hub.url), tmp_path / "hub"
    for name in ("config.json", "tokenizer.json", WEIGHTS):
        refusal(MODEL_ID, tmp_path)
        file = Path(api.hf_hub_download(MODEL_ID, name, cache_dir=cache))
    assert check_stored(MODEL_ID, None, tmp_path) == file.parent
    verify_checksums(file.parent)
    flip_last_byte(file.resolve())
    with pytest.raises(WeightsError, match="checksum mismatch"):
        verify_checksums(file.parent)
