import asyncio
import json
import sys
from pathlib import Path

import pytest

from sizeup_loadtest import lm_eval
from sizeup_loadtest.ability import tasks_data
from sizeup_loadtest.config import Config, LmEval, Model
from sizeup_loadtest.errors import UsageError
from sizeup_loadtest.lm_eval import LmEvalError, Suite

RESULTS = {
    "results": {
        "gsm8k": {
            "alias": "gsm8k",
            "exact_match,strict-match": 0.25,
            "exact_match_stderr,strict-match": 0.1,
            "exact_match,flexible-extract": 0.5,
        },
        "perplexing": {"alias": "perplexing", "perplexity,none": 12.5},
    }
}


def script(code: str, tmp_path: Path) -> Suite:
    """Return a suite whose command is a Python program."""
    return Suite((sys.executable, "-c", code), tmp_path / "log.txt", tmp_path / "out")


def evaluate(suite: Suite, seconds: float = 60) -> dict[str, float]:
    return asyncio.run(lm_eval.evaluate(suite, {}, seconds))


def test_scores_are_read_from_the_output_folder(tmp_path: Path) -> None:
    file = tmp_path / "out" / "results_2026-01-01.json"
    code = f"import pathlib; pathlib.Path({str(file)!r}).write_text({json.dumps(RESULTS)!r})"
    assert evaluate(script(code, tmp_path)) == {"gsm8k": 0.25}


def test_a_missing_command_is_told() -> None:
    with pytest.raises(UsageError, match=r"no command /nowhere/lm_eval; .*lm-eval\[api\]"):
        lm_eval.check("/nowhere/lm_eval")
    lm_eval.check(sys.executable)


def test_a_command_that_went_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="/nowhere/lm_eval: No such file"):
        evaluate(Suite(("/nowhere/lm_eval",), tmp_path / "log.txt", tmp_path / "out"))


def test_its_last_words_are_told(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="ended with 3: no such task"):
        evaluate(script("print('no such task'); raise SystemExit(3)", tmp_path))


def test_no_results_are_told(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="left no results"):
        evaluate(script("", tmp_path))


def test_it_is_ended_when_its_time_is_over(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="had not ended after 1 s"):
        evaluate(script("import time; time.sleep(600)", tmp_path), seconds=1)


def test_the_command_names_the_size_and_the_tasks(tmp_path: Path) -> None:
    asked = LmEval(enabled=True, tasks=("a", "b"), limit=5, command=("uvx", "lm_eval"))
    config = Config(models=(Model(name="m:1b"),), lm_eval=asked)
    command = lm_eval.suite(config, "m:1b", tmp_path).command
    assert command[:2] == ("uvx", "lm_eval")
    arguments = json.loads(command[command.index("--model_args") + 1])
    assert arguments["model"] == "m:1b"
    assert arguments["base_url"] == "http://127.0.0.1:11434/v1/chat/completions"
    assert command[command.index("--tasks") + 1] == "a,b"
    assert command[-2:] == ("--limit", "5")


@pytest.mark.parametrize("task", tasks_data.TASKS)
def test_shipped_data_is_what_the_generators_make(task: str) -> None:
    written = (lm_eval.TASKS / f"{task}.jsonl").read_text(encoding="utf-8")
    assert written == tasks_data.lines(task)
    assert (lm_eval.TASKS / f"{task}.yaml").is_file()
