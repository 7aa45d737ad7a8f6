"""Standard suites by lm-eval (EleutherAI), as a process of its own.

lm-eval is installed by the user in an environment of its own: `pip install "lm-eval[api]"`.
Generation tasks go through the chat route. Likelihood tasks go through /v1/completions, with token
ids, and need a server that echoes a prompt with its log-probabilities (see `client/echo.py`).
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path
from typing import Any, TypeGuard

from sizeup_loadtest.client.response import as_count
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.data.results import SuiteScore
from sizeup_loadtest.errors import BenchError, UsageError

Json = Mapping[str, Any]

TASKS = Path(__file__).parents[1] / "ability" / "tasks"
"""Tasks that need no download; lm-eval is started here, because their data is named relatively."""

STOP_SECONDS = 10
"""Between asking a process to end and ending it."""

LAST_CHARACTERS = 600
"""Of a log that are told."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one start of lm-eval found."""

    found: Mapping[str, SuiteScore]
    missing: tuple[str, ...]
    """Tasks that were asked for and have no score."""


class LmEvalError(BenchError):
    """lm-eval ended without scores."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One start of lm-eval."""

    command: tuple[str, ...]
    tasks: tuple[str, ...]
    log: Path
    output: Path
    needs_echo: bool = False
    """Whether the server must say a prompt's log-probabilities."""


def generation(config: Config, model: str, folder: Path) -> Suite:
    """Say how lm-eval is started for one size's generation tasks; `folder` is new and its own."""
    route = {
        "base_url": f"{config.target.url}/v1/chat/completions",
        "tokenizer_backend": None,  # the server tokenizes; none need be downloaded
    }
    kind = ("local-chat-completions", "--apply_chat_template")
    return _suite(config, model, folder, kind, config.lm_eval.tasks, route)


def likelihood(config: Config, model: str, folder: Path) -> Suite:
    """Say how lm-eval is started for one size's likelihood tasks; `folder` is new and its own."""
    tokenizer = config.lm_eval.tokenizer or ""
    local = Path(tokenizer).absolute()  # lm-eval is started elsewhere
    route = {
        "base_url": f"{config.target.url}/v1/completions",
        "tokenizer_backend": "huggingface",
        "tokenizer": str(local) if local.is_dir() else tokenizer,
    }
    asked = config.lm_eval.likelihood_tasks
    suite = _suite(config, model, folder, ("local-completions",), asked, route)
    return replace(suite, needs_echo=True)


def _suite(
    config: Config,
    model: str,
    folder: Path,
    kind: Sequence[str],
    tasks: tuple[str, ...],
    route: Mapping[str, object],
) -> Suite:
    asked, folder = config.lm_eval, folder.absolute()
    arguments = {
        "model": model,
        "num_concurrent": config.ability.concurrency,
        "max_retries": 2,
        "timeout": round(config.target.timeout_seconds),
        **route,
    }
    command = [
        *asked.command,
        *("--model", *kind, "--log_samples"),
        *("--model_args", json.dumps(arguments)),  # JSON, because a name may have a comma
        *("--include_path", str(TASKS), "--tasks", ",".join(tasks)),
        *("--seed", str(config.ability.seed), "--output_path", str(folder / "out")),
    ]
    command += ["--limit", str(asked.limit)] if asked.limit else []
    return Suite(tuple(command), tasks, folder / "log.txt", folder / "out")


def check(command: str) -> None:
    """Raise UsageError when a command is not there."""
    if shutil.which(command) is None:
        raise UsageError(
            f"lm_eval.command: no command {command}; install lm-eval in an environment of its own "
            '(pip install "lm-eval[api]") and give its path'
        )


async def evaluate(suite: Suite, environment: Mapping[str, str], seconds: float) -> Scores:
    """Run lm-eval to its end, at most some seconds, and return its scores.

    Raises LmEvalError when it cannot be started or ends without scores.
    """
    suite.output.mkdir(parents=True, exist_ok=True)
    with suite.log.open("wb") as log:
        try:
            process = await asyncio.create_subprocess_exec(
                *suite.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                cwd=TASKS,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise LmEvalError(f"{suite.command[0]}: {error.strerror}") from None
        await _ended(process, suite, seconds)
    if process.returncode:
        raise LmEvalError(f"lm-eval ended with {process.returncode}: {_last_words(suite.log)}")
    return scores(suite.output, suite.tasks)


async def _ended(process: asyncio.subprocess.Process, suite: Suite, seconds: float) -> None:
    """Wait for a process; end it and all it started when its time is over or ours is."""
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        raise LmEvalError(
            f"lm-eval had not ended after {seconds:.0f} s: {_last_words(suite.log)}"
        ) from None
    finally:
        if process.returncode is None:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
                return


def _last_words(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return text[-LAST_CHARACTERS:] or "it said nothing"


def scores(output: Path, tasks: Sequence[str]) -> Scores:
    """Read lm-eval's newest results file; LmEvalError when there is none.

    A name may stand for several tasks (`mmlu_*`, or a tag such as ai2_arc, which lm-eval resolves):
    besides what was named, everything is taken that is not part of a group (the subjects of mmlu),
    whose own score has it.
    """
    files = sorted(output.rglob("results_*.json"))
    if not files:
        raise LmEvalError(f"lm-eval left no results in {output}")
    try:
        written = json.loads(files[-1].read_text(encoding="utf-8"))
        results, parts = written["results"], _parts(written)
        named = {task for task in results if any(fnmatchcase(task, asked) for asked in tasks)}
        found = {
            task: score
            for task, metrics in results.items()
            if task in named or task not in parts
            if (score := _score(metrics, _better(written, task), _questions(written, task)))
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise LmEvalError(f"{files[-1]}: not lm-eval's results: {error!r}") from None
    # What is there under no name that was asked came under a tag: no more can be told of tags.
    tags = found.keys() - named
    missing = [asked for asked in tasks if not any(fnmatchcase(task, asked) for task in found)]
    return Scores(found, () if tags else tuple(missing))


def _parts(written: Json) -> set[str]:
    """Return what is part of a group."""
    return {part for parts in written.get("group_subtasks", {}).values() for part in parts}


def _better(written: Json, task: str) -> Json:
    return written.get("higher_is_better", {}).get(task) or {}


def _questions(written: Json, task: str) -> int | None:
    """Return how many questions a task or all parts of a group had."""
    counts = written.get("n-samples", {})
    if task in counts:
        return as_count(counts[task].get("effective"))
    parts = [_questions(written, part) for part in written.get("group_subtasks", {}).get(task, ())]
    return sum(n for n in parts if n is not None) if parts and None not in parts else None


def _score(metrics: Json, better: Json, n: int | None) -> SuiteScore | None:
    """Return a task's first share of 0 to 1 of which more is better; keys are `metric,filter`."""
    for key, value in metrics.items():
        name, comma, filtered = key.partition(",")
        if not comma or name.endswith("_stderr") or better.get(name) is False:
            continue
        if _is_number(value) and 0 <= value <= 1:
            stderr = metrics.get(f"{name}_stderr,{filtered}")
            error = float(stderr) if _is_number(stderr) and isfinite(stderr) else None
            return SuiteScore(value=value, stderr=error, n=n)
    return None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
