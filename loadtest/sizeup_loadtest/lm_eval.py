"""Standard suites by lm-eval (EleutherAI), as a process of its own.

lm-eval is installed by the user in an environment of its own: `pip install "lm-eval[api]"`. Only
generation tasks, through the chat route: tasks of likelihood need a server that echoes a prompt
with log probabilities on /v1/completions, which is not asked for here.
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sizeup_loadtest.config import Config
from sizeup_loadtest.errors import BenchError, UsageError

TASKS = Path(__file__).parent / "ability" / "tasks"
"""Tasks that need no download; lm-eval is started here, because their data is named relatively."""

STOP_SECONDS = 10
"""Between asking a process to end and ending it."""

LAST_CHARACTERS = 600
"""Of a log that are told."""


class LmEvalError(BenchError):
    """lm-eval ended without scores."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One start of lm-eval."""

    command: tuple[str, ...]
    log: Path
    output: Path


def suite(config: Config, model: str, folder: Path) -> Suite:
    """Say how lm-eval is started for one size; `folder` is new and its own."""
    asked, folder = config.lm_eval, folder.absolute()
    url = f"{config.target.url}/v1/chat/completions"
    arguments = {
        "model": model,
        "base_url": url,
        "num_concurrent": config.ability.concurrency,
        "max_retries": 2,
        "tokenizer_backend": None,  # the server tokenizes; none need be downloaded
        "timeout": round(config.target.timeout_seconds),
    }
    command = [
        *asked.command,
        *("--model", "local-chat-completions", "--apply_chat_template", "--log_samples"),
        *("--model_args", json.dumps(arguments)),  # JSON, because a name may have a comma
        *("--include_path", str(TASKS), "--tasks", ",".join(asked.tasks)),
        *("--seed", str(config.ability.seed), "--output_path", str(folder / "out")),
    ]
    command += ["--limit", str(asked.limit)] if asked.limit else []
    return Suite(tuple(command), folder / "log.txt", folder / "out")


def check(command: str) -> None:
    """Raise UsageError when a command is not there."""
    if shutil.which(command) is None:
        raise UsageError(
            f"lm_eval.command: no command {command}; install lm-eval in an environment of its own "
            '(pip install "lm-eval[api]") and give its path'
        )


async def evaluate(
    suite: Suite, environment: Mapping[str, str], seconds: float
) -> dict[str, float]:
    """Run lm-eval to its end, at most some seconds, and return its scores by task.

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
    return scores(suite.output)


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


def scores(output: Path) -> dict[str, float]:
    """Read the scores of lm-eval's newest results file; LmEvalError when there is none."""
    files = sorted(output.rglob("results_*.json"))
    if not files:
        raise LmEvalError(f"lm-eval left no results in {output}")
    try:
        results = json.loads(files[-1].read_text(encoding="utf-8"))["results"]
        found = {task: _score(metrics) for task, metrics in results.items()}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise LmEvalError(f"{files[-1]}: not lm-eval's results: {error!r}") from None
    return {task: score for task, score in found.items() if score is not None}


def _score(metrics: Mapping[str, object]) -> float | None:
    """Return a task's first share of 0 to 1; keys are `metric,filter`."""
    known: Sequence[str] = [key for key in metrics if "," in key and "_stderr," not in key]
    for key in known:
        value = metrics[key]
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            return float(value)
    return None
