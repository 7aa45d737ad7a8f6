"""Models found at a server, from the command line."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from loadtest.background import WHOLE, background, bench
from loadtest.fake_server import ReceivedRequest, Response, not_found, status
from sizeup_loadtest.storage.run_folder import RunFolder

VLLM = {
    "models": status(
        200,
        {
            "data": [
                {"id": "Qwen2.5-7B", "root": "a", "parent": None},
                {"id": "Qwen2.5-0.5B", "root": "b", "parent": None},
                {"id": "sql", "root": "c", "parent": "Qwen2.5-7B"},
            ]
        },
    ),
    "tags": not_found,
    "show": not_found,
    "ps": not_found,
}


async def capabilities(request: ReceivedRequest) -> AsyncIterator[bytes]:
    kind = "embedding" if request.body["model"] == "small" else "completion"
    async for piece in status(200, {"capabilities": [kind]})(request):
        yield piece


def plan(folder: Path, **responses: Response) -> int:
    with background(**WHOLE | responses) as fake:
        return bench("plan", "--url", fake.url)


def test_models_of_an_openai_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path, **VLLM) == 0
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert "Qwen2.5-0.5B, Qwen2.5-7B" in first
    assert "sql: adapter of Qwen2.5-7B" in second


def test_models_of_an_ollama_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path) == 0
    assert "small, large" in capsys.readouterr().out.splitlines()[0]
    assert plan(tmp_path, show=capabilities) == 0
    assert "left out: small" in capsys.readouterr().out


def test_a_server_without_models_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, models=status(200, {"data": []}), tags=not_found) == 1
    assert "--models" in capsys.readouterr().err


@pytest.mark.parametrize("code", [401, 403, 500])
def test_a_list_that_is_refused_is_named_with_its_status(
    code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(tmp_path, models=status(code, {}), tags=not_found) == 1
    message = capsys.readouterr().err
    assert f"/v1/models: HTTP {code}" in message
    assert ("api_key_env" in message) == (code < 500)


def test_every_server_of_several_has_models(capsys: pytest.CaptureFixture[str]) -> None:
    """Else a comparison would lack a server that wants a key, and say nothing."""
    with background(**WHOLE) as whole, background(models=status(401, {})) as closed:
        assert bench("plan", "--url", f"{whole.url},{closed.url}") == 1
    assert f"{closed.url}/v1/models: HTTP 401" in capsys.readouterr().err


def test_what_several_servers_replace_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("models: [other, {name: small, price_per_hour: 2}]\n")
    with background(**WHOLE) as fake:
        several = f"{fake.url},{fake.url}/v1"
        assert bench("plan", "-c", str(file), "--url", several) == 0
        assert bench("plan", "--url", several) == 0
    first, *_, last = (line for line in capsys.readouterr().out.splitlines() if "models: " in line)
    assert first == "models: small, large (of --url, instead of those of mine)"
    assert last == "models: small, large"


def test_a_key_of_the_environment_is_sent_and_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZEUP_BENCH_API_KEY", "secret")
    with background(**WHOLE) as fake:
        assert bench("plan", "--url", fake.url) == 0
        sent = {request.headers.get("authorization") for request in fake.requests}
        other = fake.url.replace("127.0.0.1", "localhost")
        fake.requests.clear()
        assert bench("plan", "--url", f"{fake.url},{fake.url}/v1,{other}") == 0
        both = {request.headers.get("authorization") for request in fake.requests}
    assert (sent, both) == ({"Bearer secret"}, {"Bearer secret", None})
    shown = capsys.readouterr()
    assert "secret" not in shown.out + shown.err


def test_a_server_that_is_named_twice_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    with background(**WHOLE) as fake:
        assert bench("plan", "--url", f"{fake.url},{fake.url}/v1") == 0
    assert "left out" not in capsys.readouterr().out


def test_entries_without_a_name_are_no_models(capsys: pytest.CaptureFixture[str]) -> None:
    odd = status(200, {"data": [1, None, {}, {"id": 5}, {"id": "a-1b"}]})
    with background(models=odd) as fake:
        assert bench("plan", "--url", fake.url) == 0
    assert capsys.readouterr().out.splitlines()[0] == "models: a-1b"


def test_many_models_take_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    many = status(200, {"data": [{"id": f"m-{size}b"} for size in range(1, 201)]})
    with background(models=many) as fake:
        assert bench("plan", "--url", fake.url) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "models: m-1b, m-51b, m-101b, m-150b, m-200b"
    assert "and 190 more" in shown[1]
    assert "left out" not in shown[2]


def test_models_that_are_named_are_not_searched_for() -> None:
    with background(**WHOLE) as fake:
        assert bench("plan", "--url", fake.url, "--models", "a,b") == 0
        assert fake.requests == []


def test_a_run_needs_a_url_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fast server of three words a response: everything is measured, within the minute given."""
    monkeypatch.chdir(tmp_path)
    with background(**WHOLE) as fake:
        arguments = ("--minutes", "0.3", "--price", "large=3.6", "--min-ability", "0.5")
        assert bench("run", "--url", fake.url, *arguments, "--out", "run") in (0, 3)
    results = RunFolder(tmp_path / "run").results()
    assert [m.name for m in results.models] == ["small", "large"]
    assert results.ordered_by_size
    assert [m.parameters_source for m in results.models] == ["server", "server"]
    assert results.ability_source == "built-in"
    for model in results.models:
        assert model.capacity is not None
        assert model.ability is not None
        assert model.ability.wrong
        assert {stage.level for stage in model.stages} == {1, 4, 16}
    assert results.verdict is not None
    assert results.verdict.smallest is None
    assert not any("not sent" in warning for warning in results.validity.warnings)
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert len(plan["stages"]) == 3
