"""Standard suites in a run, with a fake lm-eval."""

import json
import sys
from pathlib import Path

import pytest

from loadtest.background import CONFIG, WHOLE, background, bench
from sizeup_loadtest.data.ability import SuiteScore
from sizeup_loadtest.storage.run_folder import RunFolder

HALF = SuiteScore(value=0.5, stderr=0.1, n=25)

PROGRAM = """
import json, pathlib, sys
def after(option):
    return sys.argv[sys.argv.index(option) + 1]
model = json.loads(after("--model_args"))["model"]
if (model, after("--tasks")) == ("small", "hard"):
    sys.exit("no such task: hard")
tasks = after("--tasks").split(",")
scores = {task: {"acc,none": 0.5, "acc_stderr,none": 0.1} for task in tasks if task != "absent"}
out = pathlib.Path(after("--output_path"), model)
out.mkdir(parents=True)
written = {"results": scores, "n-samples": {task: {"effective": 25} for task in scores}}
(out / "results_1.json").write_text(json.dumps(written))
"""


def run(tmp_path: Path, command_line: str, tasks: str) -> RunFolder:
    program = tmp_path / "lm_eval.py"
    program.write_text(PROGRAM)
    command = json.dumps([sys.executable, str(program)])
    file = tmp_path / "sizes.yaml"
    file.write_text(f"{CONFIG}lm_eval: {{enabled: true, {tasks}, command: {command}}}\n")
    with background(**WHOLE) as fake:
        request = ("-c", str(file), "--url", fake.url, "--out", str(tmp_path / "run"))
        assert bench(*command_line.split(), *request) == 0
    return RunFolder(tmp_path / "run")


def test_a_failed_suite_leaves_the_other_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run(tmp_path, "run --only ability", "tasks: [hard]").results()
    assert {m.name: m.suites for m in results.models} == {"small": {}, "large": {"hard": HALF}}
    (warning,) = results.validity.warnings
    assert warning.startswith("small: ")
    assert "no such task: hard" in warning
    assert warning in " ".join(capsys.readouterr().out.split())


def test_suites_run_without_the_ability_phase(tmp_path: Path) -> None:
    folder = run(tmp_path, "run", "tasks: [easy]")
    models = folder.results().models
    assert [(m.ability, m.suites) for m in models] == [(None, {"easy": HALF})] * 2
    page = (folder.path / "report.html").read_text()
    assert "30 to 70 %, n = 25" in page


def test_a_task_without_a_score_leaves_the_other_scores(tmp_path: Path) -> None:
    results = run(tmp_path, "run", "tasks: [easy, absent]").results()
    assert [m.suites for m in results.models] == [{"easy": HALF}] * 2
    missing = [warning for warning in results.validity.warnings if "absent" in warning]
    assert [warning.partition(":")[0] for warning in missing] == ["large", "small"]
