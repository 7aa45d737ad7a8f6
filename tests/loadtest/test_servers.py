"""Runs over several servers, and over strict ones."""

import json
from pathlib import Path

import pytest

from loadtest.background import WHOLE, background, bench, in_background
from loadtest.fake_server import status
from loadtest.mock import Behaviour, MockModel, MockServer
from loadtest.mock.behaviour import Kind
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.storage.run_folder import RunFolder
from store.certificates import make_certificate


def mock(name: str, kind: Kind) -> MockServer:
    model = MockModel(name, ttft_seconds=0.01, gap_seconds=0.001, parallel=4, tokens=9)
    return MockServer(Behaviour(sizes=(model,), kind=kind))


def measure(tmp_path: Path, models: list[dict[str, object]], **keys: object) -> int:
    load = {"blocks": 1, "warmup": 1, "closed": [2], "requests_per_block": 4}
    limits = {"max_send_lag_seconds": 5, "max_loop_lag_seconds": 5}
    config = {"models": models, "load": load, "limits": limits, "max_tokens": 5, **keys}
    (tmp_path / "sizes.yaml").write_text(json.dumps(config))
    return bench("run", "-c", str(tmp_path / "sizes.yaml"), "--out", str(tmp_path / "run"))


def results(tmp_path: Path) -> Results:
    return RunFolder(tmp_path / "run").results()


def test_servers_of_every_kind_are_compared_in_one_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        in_background(mock("llama:1b", "ollama")) as ollama,
        in_background(mock("Qwen/Qwen2.5-7B", "vllm")) as vllm,
        in_background(mock("qwen:0.5b", "sizeup")) as sizeup,
    ):
        models: list[dict[str, object]] = [
            {"name": "llama:1b", "url": ollama.url.removeprefix("http://")},
            {"name": "7b", "model": "Qwen/Qwen2.5-7B", "url": f"{vllm.url}/v1"},
            {"name": "qwen:0.5b", "url": sizeup.url},
        ]
        assert measure(tmp_path, models) == 0
        urls = [ollama.url, vllm.url, sizeup.url]
    found = results(tmp_path)
    servers = {m.name: m.server for m in found.models if m.server}
    assert {name: s.api for name, s in servers.items()} == {
        "llama:1b": "ollama", "7b": "openai", "qwen:0.5b": "openai"
    }  # fmt: skip
    assert found.target == ", ".join(urls)
    assert servers["7b"].model == "Qwen/Qwen2.5-7B"
    stages = {(m.name, s.stage, s.n) for m in found.models for s in m.stages}
    assert stages == {(name, "closed-2-until_eos", 6) for name in servers}
    assert [bool(m.stages[0].breakdown) for m in found.models if m.name == "llama:1b"] == [True]
    assert found.validity.valid
    assert capsys.readouterr().out.count("no fixed length") == 2  # once before, once in the results


def test_a_strict_server_is_measured_without_what_it_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_background(mock("gpt", "openai")) as server:
        assert measure(tmp_path, [{"name": "gpt", "url": server.url}], length="fixed") == 0
        sent = len(server.truth.as_json())
    model = results(tmp_path).models[0]
    assert model.server
    assert len(model.server.adaptations) == 3
    for adaptation in model.server.adaptations:
        assert f"gpt: {adaptation}" in results(tmp_path).validity.warnings
    assert capsys.readouterr().out.count("warning: gpt: measured with") == 3
    assert (model.stages[0].errors, sent) == ({}, 1 + 6)


def test_headers_and_further_parameters_are_sent_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "key-secret")
    extra = {"chat_template_kwargs": {"token": "body-secret"}}
    keys = {"headers": {"X-Key": "head-secret"}, "extra_body": extra, "api_key_env": "KEY"}
    with background(**WHOLE) as fake:
        models: list[dict[str, object]] = [{"name": "small", "url": fake.url, **keys}]
        assert measure(tmp_path, models) == 0
    assert {r.headers.get("x-key") for r in fake.requests} == {"head-secret"}
    assert {r.headers["authorization"] for r in fake.requests} == {"Bearer key-secret"}
    for body in fake.bodies("/v1/chat/completions"):
        assert body["chat_template_kwargs"] == {"token": "body-secret"}
    written = b"".join(f.read_bytes() for f in (tmp_path / "run").iterdir())
    assert b"-secret" not in written
    assert b"X-Key" in written


def test_a_run_over_tls(tmp_path: Path) -> None:
    tls, authority = make_certificate(tmp_path)
    with background(tls, **WHOLE) as fake:
        models: list[dict[str, object]] = [{"name": "small", "url": fake.url}]
        assert measure(tmp_path, models) == 1
        assert not (tmp_path / "run").exists()
        assert measure(tmp_path, models, target={"verify": str(authority)}) == 0
    assert results(tmp_path).models[0].stages


def test_a_failed_start_leaves_its_folder_to_the_next(tmp_path: Path) -> None:
    models: list[dict[str, object]] = [{"name": "small"}]
    with background(**WHOLE | {"chat": status(500, {"error": "no weights"})}) as fake:
        assert measure(tmp_path, models, target={"url": fake.url}) == 1
    with background(**WHOLE) as fake:
        assert measure(tmp_path, models, target={"url": fake.url}) == 0
        assert measure(tmp_path, models, target={"url": fake.url}) == 1
    assert results(tmp_path).models[0].stages
