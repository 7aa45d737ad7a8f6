import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from sizeup_loadtest.config.models import ModelConfig
from sizeup_loadtest.config.schema import Config, LmEval
from sizeup_loadtest.data.ability import SuiteScore
from sizeup_loadtest.errors import UsageError
from sizeup_loadtest.execution import lm_eval
from sizeup_loadtest.execution.lm_eval import LmEvalError, Scores, Suite
from sizeup_loadtest.execution.run import Run

RESULTS = {
    "results": {
        "gsm8k": {
            "alias": "gsm8k",
            "exact_match,strict-match": 0.25,
            "exact_match_stderr,strict-match": 0.1,
            "exact_match,flexible-extract": 0.5,
        },
        "wikitext": {"perplexity,none": 12.5, "bits_per_byte,none": 0.7},
        "mmlu": {"acc,none": 0.6, "acc_stderr,none": 0.01},
        "mmlu_law": {"acc,none": 0.4},
        "mmlu_art": {"acc,none": 0.8},
    },
    "higher_is_better": {"wikitext": {"perplexity": False, "bits_per_byte": False}},
    "group_subtasks": {"mmlu": ["mmlu_law", "mmlu_art"], "gsm8k": []},
    "n-samples": {
        "gsm8k": {"original": 1319, "effective": 50},
        "mmlu_law": {"original": 9, "effective": 9},
        "mmlu_art": {"original": 8, "effective": 8},
    },
}
GSM8K = SuiteScore(value=0.25, stderr=0.1, n=50)
MMLU = SuiteScore(value=0.6, stderr=0.01, n=17)


def script(code: str, tmp_path: Path) -> Suite:
    """Return a suite with a Python program as its command."""
    command = (sys.executable, "-c", code)
    return Suite(command, ("gsm8k", "wikitext", "mmlu"), tmp_path / "log.txt", tmp_path / "out")


def evaluate(suite: Suite, seconds: float = 60) -> Scores:
    return asyncio.run(lm_eval.evaluate(suite, {}, seconds))


def writing(results: object, tmp_path: Path) -> Suite:
    """Return a suite that leaves results as lm-eval does."""
    file = tmp_path / "out" / "results_2026-01-01.json"
    text = json.dumps(results)
    return script(f"import pathlib; pathlib.Path({str(file)!r}).write_text({text!r})", tmp_path)


def test_scores_of_the_requested_tasks_are_read(tmp_path: Path) -> None:
    """Metrics where lower is better and subtasks of a group are skipped."""
    scores = evaluate(writing(RESULTS, tmp_path))
    assert scores == Scores({"gsm8k": GSM8K, "mmlu": MMLU}, missing=("wikitext",))


def test_a_task_without_results_is_missing(tmp_path: Path) -> None:
    less = {"results": {"gsm8k": {"exact_match,none": 0.25, "exact_match_stderr,none": "N/A"}}}
    scores = evaluate(writing(less, tmp_path))
    assert scores == Scores({"gsm8k": SuiteScore(value=0.25)}, missing=("wikitext", "mmlu"))


@pytest.mark.parametrize(
    ("requested", "groups", "found"),
    [
        ("mmlu_*", {"mmlu_law": [], "mmlu_art": []}, ["mmlu_art", "mmlu_law"]),
        ("ai2_arc", {"arc_easy": [], "arc_challenge": []}, ["arc_challenge", "arc_easy"]),
        ("mmlu", {"mmlu": ["mmlu_law", "mmlu_art"], "mmlu_law": [], "mmlu_art": []}, ["mmlu"]),
    ],
)
def test_a_name_can_stand_for_several_tasks(
    requested: str, groups: dict[str, list[str]], found: list[str], tmp_path: Path
) -> None:
    """lm-eval resolves patterns and tags, and its results have the tasks' own names."""
    results = {name: {"acc,none": 0.5} for name in groups}
    suite = writing({"results": results, "group_subtasks": groups}, tmp_path)
    scores = evaluate(replace(suite, tasks=(requested,)))
    assert (sorted(scores.by_task), scores.missing) == (found, ())


def test_a_missing_command_is_an_error() -> None:
    def check(command: str) -> None:
        made = config(command=[command])
        asyncio.run(lm_eval.check_installed(cast(Run, SimpleNamespace(config=made))))

    with pytest.raises(UsageError, match=r"/nowhere/lm_eval.*lm-eval\[api\]"):
        check("/nowhere/lm_eval")
    check(sys.executable)


def test_a_command_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="/nowhere/lm_eval: No such file"):
        evaluate(replace(script("", tmp_path), command=("/nowhere/lm_eval",)))


def test_an_error_has_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="3: no such task"):
        evaluate(script("print('no such task'); raise SystemExit(3)", tmp_path))


def test_missing_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="no results"):
        evaluate(script("", tmp_path))


def test_it_is_stopped_at_the_time_limit(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="within 1 s"):
        evaluate(script("import time; time.sleep(600)", tmp_path), seconds=1)


def config(**requested: object) -> Config:
    return Config(models=(ModelConfig(name="m:1b"),), lm_eval=LmEval.model_validate(requested))


def after(option: str, suite: Suite) -> str:
    return suite.command[suite.command.index(option) + 1]


def test_the_command_of_a_chat_endpoint(tmp_path: Path) -> None:
    requested = config(enabled=True, tasks=["a", "b"], limit=5, command=["uvx", "lm_eval"])
    suite = lm_eval.suite(requested, "m:1b", tmp_path)
    assert suite.command[:2] == ("uvx", "lm_eval")
    arguments = json.loads(after("--model_args", suite))
    assert arguments["model"] == "m:1b"
    assert arguments["base_url"] == "http://127.0.0.1:11434/v1/chat/completions"
    assert arguments["tokenizer_backend"] is None
    assert after("--model", suite) == "local-chat-completions"
    assert "--apply_chat_template" in suite.command
    assert after("--tasks", suite) == "a,b"
    assert suite.command[-2:] == ("--limit", "5")


def test_loglikelihood_tasks_are_a_matter_of_lm_evals_own_options(tmp_path: Path) -> None:
    requested = config(
        enabled=True,
        tasks=["mmlu"],
        model="local-completions",
        model_args={"tokenizer": "Qwen/Qwen2.5-0.5B", "max_retries": 5},
        options=["--num_fewshot", "5"],
    )
    suite = lm_eval.suite(requested, "m:1b", tmp_path)
    arguments = json.loads(after("--model_args", suite))
    assert arguments["base_url"] == "http://127.0.0.1:11434/v1/completions"
    assert (arguments["tokenizer"], arguments["max_retries"]) == ("Qwen/Qwen2.5-0.5B", 5)
    assert "tokenizer_backend" not in arguments
    assert after("--model", suite) == "local-completions"
    assert "--apply_chat_template" not in suite.command
    assert suite.command[-2:] == ("--num_fewshot", "5")
