"""The commands of docs/loadtest.md as pasted, in order, beside servers like Ollama and vLLM."""

import re
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.background import WHOLE, background, bench
from loadtest.fake_server import ReceivedRequest, Response, not_found, status
from sizeup_loadtest.storage.run_folder import RunFolder

DOC = Path(__file__).parents[2] / "docs" / "loadtest.md"
OLLAMA = {"qwen2.5:0.5b": 494_032_768, "qwen2.5:7b": 7_615_616_512, "nomic-embed-text": 137_000_000}
VLLM = ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-14B-Instruct")


async def shown(request: ReceivedRequest) -> AsyncIterator[bytes]:
    name = request.body["model"]
    capability = "embedding" if "embed" in name else "completion"
    info = {"general.architecture": "qwen2", "general.parameter_count": OLLAMA[name]}
    async for piece in status(200, {"model_info": info, "capabilities": [capability]})(request):
        yield piece


def ollama() -> dict[str, Response]:
    tags = {"models": [{"name": name, "digest": name} for name in OLLAMA]}
    listed = {"data": [{"id": name, "owned_by": "library"} for name in OLLAMA]}
    version = status(200, {"version": "0.13.0"})
    return WHOLE | {
        "tags": status(200, tags),
        "models": status(200, listed),
        "show": shown,
        "/api/version": version,
    }


def vllm(name: str) -> dict[str, Response]:
    listed = {"data": [{"id": name, "root": name, "parent": None, "owned_by": "vllm"}]}
    return {"chat": WHOLE["chat"], "models": status(200, listed), "ps": not_found}


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Serve three servers, by the URLs that the page gives them."""
    with (
        background(**ollama()) as first,
        background(**vllm(VLLM[0])) as second,
        background(**vllm(VLLM[1])) as third,
    ):
        ports = (11434, 8000, 8001)
        urls = (first.url, second.url, third.url)
        yield {f"http://127.0.0.1:{port}": url for port, url in zip(ports, urls, strict=True)}


def page(urls: dict[str, str]) -> str:
    """Return the part of the page for newcomers with the URLs of the test's servers."""
    text, _, _ = DOC.read_text(encoding="utf-8").partition("## Scenarios")
    for documented, url in urls.items():
        text = text.replace(documented, url)
    # Two seconds in place of ten minutes: these servers answer three words at once.
    return text.replace("budget_minutes: 10 ", "budget_minutes: 0.03 ").replace(" --minutes 20", "")


def commands(text: str) -> list[list[str]]:
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    found = re.findall(r"sizeup-bench (.+)", shell.replace("\\\n", " "))
    return [shlex.split(line) for line in found]


def test_the_page_works_as_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with servers() as urls:
        text = page(urls)
        for name, content in re.findall(
            r"`([\w.-]+)`(?:, [^`\n]*)?:\n\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL
        ):
            (tmp_path / name).write_text(content, encoding="utf-8")
        found = commands(text)
        for number, arguments in enumerate(found):
            if arguments[0] == "run" and "--config" not in arguments:
                arguments += ["--minutes", "0.03", "--out", f"runs/{number}"]
            # 1: the gate has nothing to decide in runs this short. 3: a test machine may be late.
            assert bench(*arguments) in (0, 1, 3), capsys.readouterr().err
    assert [arguments[0] for arguments in found] == [*["run"] * 5, "compare", "check"]
    _check_models(tmp_path)


def _check_models(folder: Path) -> None:
    runs = [folder / "runs" / name for name in ("0", "1", "2", "before", "after")]
    results = [RunFolder(path).results() for path in runs]
    assert [[model.name for model in run.models] for run in results] == [
        ["qwen2.5:0.5b", "qwen2.5:7b"],
        list(VLLM),
        ["qwen2.5:0.5b", "qwen2.5:7b"],
        ["qwen2.5:0.5b", "7b"],
        ["qwen2.5:0.5b", "7b"],
    ]
    assert all(run.ordered_by_size for run in results)
    own = results[3]
    assert own.ability_source == "questions.jsonl"
    assert [model.ability.overall.n for model in own.models if model.ability] == [5, 5]
    assert {model.stages[0].api for model in own.models} == {"ollama", "openai"}
    assert (folder / "runs" / "check.xml").is_file()
