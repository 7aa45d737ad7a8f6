"""Standard suites by lm-eval (EleutherAI), a subprocess for one model after the other.

The user installs lm-eval in its own environment: `pip install "lm-eval[api]"`. Its model types
other than that of the chat endpoint get /v1/completions.
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path
from typing import Any, TypeGuard

from sizeup_loadtest.client.response import as_count
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.settings import lm_eval_environment
from sizeup_loadtest.data.ability import SuiteScore
from sizeup_loadtest.errors import BenchError, UsageError
from sizeup_loadtest.execution.run import Run
from sizeup_loadtest.execution.sending.clock import SECOND_NS
from sizeup_loadtest.storage.run_folder import SuitesFile

Json = Mapping[str, Any]

CHAT = "local-chat-completions"
"""lm-eval's model type of a chat endpoint."""

STOP_SECONDS = 10
"""Between SIGTERM and SIGKILL."""

LOG_TAIL_CHARACTERS = 600
"""In an error message."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The results of one lm-eval process."""

    by_task: Mapping[str, SuiteScore]
    missing: tuple[str, ...]
    """Requested tasks without a score."""


class LmEvalError(BenchError):
    """lm-eval produced no scores."""


@dataclass(frozen=True, slots=True)
class Suite:
    command: tuple[str, ...]
    tasks: tuple[str, ...]
    log: Path
    output: Path


async def check_installed(run: Run) -> None:
    """Raise UsageError without lm-eval: before hours of measurements, not after."""
    command = run.config.lm_eval.command[0]
    if shutil.which(command) is None:
        raise UsageError(
            f"lm_eval.command: {command} not found; install lm-eval in its own environment "
            '(pip install "lm-eval[api]") and give its path'
        )


async def run(run: Run) -> None:
    """Score every model within the remaining time; scores so far are kept."""
    results: dict[str, Mapping[str, SuiteScore]] = {}
    failed: dict[str, str] = {}
    for number, model in enumerate(run.models):
        # Numbered, because the name of a model may not be valid for a folder.
        of_model = suite(run.config, model, run.folder.path / f"lm-eval-{number}")
        try:
            scores = await _score(run, model, of_model)
            results[model] = scores.by_task
            missing, reason = scores.missing, "lm-eval's results have no metric of 0 to 1"
        except LmEvalError as error:  # the other measurements are still to be reported
            missing, reason = of_model.tasks, str(error)
        if missing:
            failed[model] = f"no score for {', '.join(missing)}: {reason}"
        run.folder.write_json("suites", SuitesFile(results=results, failed=failed))


async def _score(run: Run, model: str, suite: Suite) -> Scores:
    remaining = (run.deadline_ns - run.clock()) / SECOND_NS
    if remaining <= 0:
        raise LmEvalError("out of time (limits.max_minutes)")
    server = run.client.servers[model]
    if server.headers:  # lm-eval writes its arguments, and with them the headers, to its results
        raise LmEvalError("lm-eval does not send the headers of the config")
    run.console.print(f"lm-eval  {model}  log: {suite.log}", highlight=False, soft_wrap=True)
    return await evaluate(suite, lm_eval_environment(server.key), remaining)


def suite(config: Config, model: str, folder: Path) -> Suite:
    """Return the process for one model's tasks; `folder` does not exist yet."""
    options, folder, server = config.lm_eval, folder.absolute(), config.server(model)
    chat = options.model == CHAT
    arguments = {
        "model": server.model,
        "base_url": f"{server.url}/v1/{'chat/' if chat else ''}completions",
        "num_concurrent": config.ability.concurrency,
        "max_retries": 2,
        "timeout": round(server.timeout_seconds),
        "verify_certificate": server.verify is not False,
        "ca_cert_path": server.verify if isinstance(server.verify, str) else None,
        # The server tokenizes chats, so no tokenizer is downloaded.
        **({"tokenizer_backend": None} if chat else {}),
        **options.model_args,
    }
    command = [
        *options.command,
        *("--model", options.model, *(["--apply_chat_template"] if chat else []), "--log_samples"),
        *("--model_args", json.dumps(arguments)),  # JSON, because names may contain commas
        *("--tasks", ",".join(options.tasks)),
        *("--seed", str(config.ability.seed), "--output_path", str(folder / "out")),
    ]
    command += ["--limit", str(options.limit)] if options.limit else []
    command += options.options
    return Suite(tuple(command), options.tasks, folder / "log.txt", folder / "out")


async def evaluate(suite: Suite, environment: Mapping[str, str], seconds: float) -> Scores:
    """Run lm-eval within a time limit and return its scores.

    LmEvalError when it cannot be started, fails, times out, or leaves no results.
    """
    suite.output.mkdir(parents=True, exist_ok=True)
    with suite.log.open("wb") as log:
        try:
            process = await asyncio.create_subprocess_exec(
                *suite.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise LmEvalError(f"{suite.command[0]}: {error.strerror}") from None
        await _wait(process, suite, seconds)
    if process.returncode:
        raise LmEvalError(f"lm-eval exited with {process.returncode}: {_log_tail(suite.log)}")
    return read_scores(suite.output, suite.tasks)


async def _wait(process: asyncio.subprocess.Process, suite: Suite, seconds: float) -> None:
    """Wait for a process; stop its process group on timeout or cancellation."""
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        raise LmEvalError(
            f"lm-eval did not finish within {seconds:.0f} s: {_log_tail(suite.log)}"
        ) from None
    finally:
        if process.returncode is None:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
                return


def _log_tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return text[-LOG_TAIL_CHARACTERS:] or "no output"


def read_scores(output: Path, tasks: Sequence[str]) -> Scores:
    """Read lm-eval's latest results file; LmEvalError without one.

    A requested name may stand for several tasks (`mmlu_*`, or a tag such as ai2_arc, which lm-eval
    resolves): besides requested names, all tasks count that are not part of a group, whose score
    includes theirs.
    """
    files = sorted(output.rglob("results_*.json"))
    if not files:
        raise LmEvalError(f"lm-eval left no results in {output}")
    try:
        content = json.loads(files[-1].read_text(encoding="utf-8"))
        results = content["results"]
        in_groups = {task for parts in content.get("group_subtasks", {}).values() for task in parts}
        named = {task for task in results if any(fnmatchcase(task, name) for name in tasks)}
        found = {
            task: score
            for task in results
            if task in named or task not in in_groups
            if (score := _first_metric(content, task))
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise LmEvalError(f"{files[-1]}: not lm-eval results: {error!r}") from None
    # A task under another name came from a tag, and which tag is unknown.
    tags = found.keys() - named
    missing = [name for name in tasks if not any(fnmatchcase(task, name) for task in found)]
    return Scores(found, () if tags else tuple(missing))


def _samples(content: Json, task: str) -> int | None:
    """Return the number of samples of a task, or of all subtasks of a group."""
    counts = content.get("n-samples", {})
    if task in counts:
        return as_count(counts[task].get("effective"))
    subtasks = content.get("group_subtasks", {}).get(task, ())
    parts = [_samples(content, subtask) for subtask in subtasks]
    return sum(n for n in parts if n is not None) if parts and None not in parts else None


def _first_metric(content: Json, task: str) -> SuiteScore | None:
    """Return the first metric from 0 to 1 where higher is better; keys are `metric,filter`."""
    metrics, directions = content["results"][task], content.get("higher_is_better", {}).get(task)
    for key, value in metrics.items():
        name, comma, filter_name = key.partition(",")
        if not comma or name.endswith("_stderr") or (directions or {}).get(name) is False:
            continue
        if _is_number(value) and 0 <= value <= 1:
            stderr = metrics.get(f"{name}_stderr,{filter_name}")
            error = float(stderr) if _is_number(stderr) and isfinite(stderr) else None
            return SuiteScore(value=value, stderr=error, n=_samples(content, task))
    return None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
