"""Faults of the client's machine: one line, an exit code, and what was measured is kept."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from loadtest.background import WHOLE, background, process
from loadtest.fake_server import STREAM, ReceivedRequest, Response, openai_answer, stream_of
from sizeup_loadtest.storage.run_folder import RunFolder


def measure(
    tmp_path: Path,
    shell: str = "",
    closed: int = 1,
    requests: int = 4,
    chat: Response | None = None,
) -> CompletedProcess[str]:
    config = {
        "models": ["small"],
        "length": "until_eos",
        "max_tokens": 3,
        "load": {"blocks": 1, "warmup": 1, "closed": [closed], "requests_per_block": requests},
        "limits": {"max_send_lag_seconds": 5, "max_loop_lag_seconds": 5},
    }
    (tmp_path / "sizes.yaml").write_text(json.dumps(config))
    with background(**WHOLE | ({} if chat is None else {"chat": chat})) as fake:
        file, out = str(tmp_path / "sizes.yaml"), str(tmp_path / "run")
        return process("run", "-c", file, "--url", fake.url, "--out", out, shell=shell)


def only_line(done: CompletedProcess[str]) -> str:
    [line] = done.stderr.splitlines()
    assert line.startswith("sizeup-bench: ")
    return line


def test_more_users_than_files_are_refused_before_the_run(tmp_path: Path) -> None:
    done = measure(tmp_path, "ulimit -n 64", closed=60)
    assert done.returncode == 2
    assert "ulimit -n" in only_line(done)
    assert not (tmp_path / "run").exists()


def test_the_soft_limit_of_files_is_raised(tmp_path: Path) -> None:
    assert measure(tmp_path, "ulimit -S -n 64", closed=60).returncode == 0


def test_a_full_disk_ends_the_run_and_keeps_its_results(tmp_path: Path) -> None:
    """A limit of the size of files, which records reach first, stands for it."""
    long = stream_of(*openai_answer(["word"] * 100))  # whose records are longer than the plan
    done = measure(tmp_path, "ulimit -f 150", requests=100, chat=long)
    assert done.returncode == 1
    assert str(tmp_path / "run") in only_line(done)
    assert "small" in done.stdout
    records = list(RunFolder(tmp_path / "run").records())
    assert 20 < len(records) < 100


def test_a_run_folder_that_vanishes_is_one_line(tmp_path: Path) -> None:
    async def vanishing(_: ReceivedRequest) -> AsyncIterator[bytes]:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        yield STREAM + b"".join(openai_answer())

    done = measure(tmp_path, chat=vanishing)
    assert done.returncode == 1
    assert str(tmp_path / "run") in only_line(done)


@pytest.mark.parametrize("out", ["/proc/run", "sizes.yaml"])
def test_an_unwritable_run_folder_is_one_line(tmp_path: Path, out: str) -> None:
    measure(tmp_path)
    with background(**WHOLE) as fake:
        file = str(tmp_path / "sizes.yaml")
        done = process("run", "-c", file, "--url", fake.url, "--out", str(tmp_path / out))
    assert done.returncode == 1
    assert out in only_line(done)


@pytest.mark.parametrize("command", ["plan", "report"])
def test_an_output_on_a_full_disk_is_one_line(tmp_path: Path, command: str) -> None:
    measure(tmp_path)
    what = {"plan": "--scenario=smoke", "report": str(tmp_path / "run")}
    done = process(command, what[command], shell="exec >/dev/full")
    assert done.returncode == 1
    assert "No space left" in only_line(done)


def test_an_output_on_a_full_disk_does_not_stop_the_run(tmp_path: Path) -> None:
    assert measure(tmp_path, "exec >/dev/full").returncode == 0
    assert RunFolder(tmp_path / "run").results().models[0].stages


def test_a_terminal_without_unicode_is_no_error(tmp_path: Path) -> None:
    assert measure(tmp_path, "export PYTHONIOENCODING=ascii").returncode == 0


def test_a_closed_pipe_does_not_stop_the_run(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"  # opened for writing, and then without a reader
    done = measure(tmp_path, f"mkfifo {pipe}; exec 4<>{pipe} 1>{pipe} 4>&-")
    assert RunFolder(tmp_path / "run").results().models[0].stages
    assert done.returncode == 0
