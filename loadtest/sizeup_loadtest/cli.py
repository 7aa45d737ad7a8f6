"""The commands of `sizeup-bench`. Each imports what it needs, so that `--help` is fast."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sizeup_loadtest.config import overrides
from sizeup_loadtest.config.file import load
from sizeup_loadtest.config.models import Target
from sizeup_loadtest.config.overrides import Overrides
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.settings import default_url
from sizeup_loadtest.errors import UncomparableError, UsageError

PHASES = ("speed", "capacity", "ability")

Scenario = Annotated[
    str,
    typer.Option(
        "--scenario", "--config", "-c", help="Config file, or name of a bundled scenario."
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        help="Server URL, or several, comma-separated; default: the config's, else SIZEUP_URL."
    ),
]
Models = Annotated[
    str | None, typer.Option(help="Comma-separated model names, instead of the config's.")
]
RunPath = Annotated[Path, typer.Argument(help="Run folder, or results.json.")]
Points = Annotated[float, typer.Option(min=0, max=1, help="0.05 is 5 percentage points less.")]


def run(
    scenario: Scenario = "choose",
    url: Url = None,
    models: Models = None,
    only: Annotated[
        str | None, typer.Option(help=f"Comma-separated phases: {', '.join(PHASES)}; default: all.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Time to divide, instead of the config's.")
    ] = None,
    min_tokens_per_second: Annotated[
        float | None, typer.Option(min=0.01, help="Required tokens/s per user.")
    ] = None,
    max_ttft: Annotated[
        float | None, typer.Option(min=0.001, help="Required time to first token, in seconds.")
    ] = None,
    min_ability: Annotated[
        float | None, typer.Option(min=0, max=1, help="Required fraction of correct answers.")
    ] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=USD", help="Price per hour of a model's hardware; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default: runs/<scenario>-<time>.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Number of processes that send the requests.")
    ] = 1,
    print_files: Annotated[
        bool, typer.Option("--print-files", help="At the end, print the run's files for `extract`.")
    ] = False,
) -> None:
    """Measure latency and throughput, capacity and ability of every model, and report them."""
    from sizeup_loadtest.execution.start import start

    changes = Overrides(
        minutes, min_tokens_per_second, max_ttft, min_ability, overrides.prices(price or [])
    )
    config = _config(scenario, url, models, _phases(only), changes)
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    start(config, out or Path("runs") / f"{config.scenario or 'run'}-{now}", workers, print_files)


def plan(
    scenario: Scenario = "choose",
    url: Url = None,
    models: Models = None,
    tok_s: Annotated[float, typer.Option(min=0.001, help="Assumed tokens/s per user.")] = 30,
) -> None:
    """Print the schedule, its hash and the estimated duration; sends nothing."""
    from rich.console import Console

    from sizeup_loadtest.execution.progress import estimate
    from sizeup_loadtest.workload import prompts, schedule

    config = _config(scenario, url, models)
    compiled = schedule.compile_plan(config, prompts.source(config.prompts))
    parts, console = estimate.parts(config, compiled, tok_s), Console()
    console.print(estimate.table(parts))
    console.print(estimate.summary(compiled), soft_wrap=True)
    console.print(estimate.total(parts, tok_s, config), soft_wrap=True)


def report(
    run: RunPath,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Output file, of suffix .html, .md or .csv; default: report.html beside the run.",
        ),
    ] = None,
) -> None:
    """Render the report of a run again."""
    from sizeup_loadtest.report.files import RENDERERS
    from sizeup_loadtest.storage import run_folder

    out = out or (run if run.is_dir() else run.parent) / "report.html"
    render = RENDERERS.get(out.suffix.lower())
    if render is None:
        raise UsageError(f"{out}: unknown suffix; use one of {', '.join(RENDERERS)}")
    run_folder.write_text(out, render(run_folder.read_results(run)))
    typer.echo(out)


def compare(
    first: RunPath,
    second: RunPath,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIRST=SECOND",
            help="Model of the first run and its counterpart in the second; repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write Markdown to this file; default: print."),
    ] = None,
) -> None:
    """Compare two runs with confidence intervals, paired by request where both have records.

    Exits with 1 when they have nothing in common.
    """
    from sizeup_loadtest.analysis.comparison.compare import compare_runs, renamed
    from sizeup_loadtest.report import comparison
    from sizeup_loadtest.storage import run_folder

    before, after = run_folder.read_results(first), run_folder.read_results(second)
    after = renamed(before, after, pair or [])
    compared = compare_runs(before, after, run_folder.read_records(first, second))
    text = comparison.render(before, after, compared)
    if out is None:
        typer.echo(text, nl=False)
    else:
        run_folder.write_text(out, text)
        typer.echo(out)
    if not compared.changes:
        raise UncomparableError(comparison.nothing_compared(compared))


def check(
    candidate: RunPath,
    baseline: Annotated[Path, typer.Option(help="Run folder or results.json to compare with.")],
    max_slowdown: Annotated[
        float, typer.Option(min=0, max=10, help="Fraction: 0.05 is 5 % slower.")
    ] = 0.05,
    max_throughput_loss: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction: 0.05 is 5 % less.")
    ] = 0.05,
    max_ability_loss: Points = 0.0,
    max_attainment_loss: Points = 0.02,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write Markdown to this file.")] = None,
    any_schedule: Annotated[
        bool, typer.Option("--any-schedule", help="Accept runs with different schedules.")
    ] = False,
) -> None:
    """Exit with 1 where confidence intervals exclude the allowed regression."""
    from sizeup_loadtest.analysis.comparison.compare import compare_runs
    from sizeup_loadtest.analysis.comparison.regression_gate import AllowedChange, evaluate
    from sizeup_loadtest.report import gate as gate_report
    from sizeup_loadtest.storage import run_folder

    before, after = run_folder.read_results(baseline), run_folder.read_results(candidate)
    allowed = AllowedChange(
        max_slowdown, max_throughput_loss, max_ability_loss, max_attainment_loss
    )
    compared = compare_runs(before, after, run_folder.read_records(baseline, candidate))
    gate = evaluate(compared, allowed, any_schedule=any_schedule)
    text = gate_report.markdown(gate)
    if junit is not None:
        run_folder.write_text(junit, gate_report.junit(gate))
    if markdown is not None:
        run_folder.write_text(markdown, text)
    typer.echo(text, nl=False)
    if not gate.passes:
        raise typer.Exit(1)


def extract(
    log: Annotated[
        Path | None, typer.Argument(help="Log of a Job; default: standard input.")
    ] = None,
    out: Annotated[Path, typer.Option(help="New folder for the files.")] = Path("extracted"),
) -> None:
    """Extract a run's files from a Job's log: `kubectl logs job/NAME | sizeup-bench extract`."""
    from sizeup_loadtest.storage import job_log
    from sizeup_loadtest.storage.run_folder import RunFolder

    try:
        if log is None:
            files = job_log.decode(sys.stdin)
        else:
            with log.open(encoding="utf-8", errors="replace") as lines:
                files = job_log.decode(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{log or 'standard input'}: {error}") from None
    if not files:
        raise UsageError("no files in the log; did the run finish?")
    folder = RunFolder.create(out)
    for name, data in files.items():
        folder.write(name, data)
        typer.echo(out / name)


COMMANDS = (run, plan, report, compare, check, extract)


def _config(
    scenario: str,
    url: str | None,
    models: str | None,
    only: Sequence[str] = (),
    changes: Overrides | None = None,
) -> Config:
    urls, names = _listed(url), _listed(models)
    return load(
        scenario,
        urls=urls,
        models=names,
        fallback_url=default_url(),
        only=only,
        overrides=changes,
        discover=partial(_discover, urls, names),
    )


def _discover(
    urls: Sequence[str], names: Sequence[str], target: Target, replaced: str
) -> Sequence[Mapping[str, str]]:
    """Return the models of the servers, and print which they are, and what they replace."""
    from sizeup_loadtest.execution.servers import discovery

    found = discovery.find(target, urls or [target.url], names)
    models = discovery.entries(found.models)
    typer.echo(f"models: {', '.join(model['name'] for model in models)}{replaced}")
    reasons: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        reasons.setdefault(reason, []).append(name)
    for reason, left_out in reasons.items():
        more = f" and {len(left_out) - 5} more" if len(left_out) > 5 else ""
        typer.echo(f"  left out: {', '.join(left_out[:5])}{more}: {reason}")
    if reasons:
        typer.echo("  others: --models")
    return models


def _listed(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _phases(only: str | None) -> list[str]:
    phases = _listed(only)
    if only is not None and (not phases or set(phases) - {*PHASES}):
        raise UsageError(f"--only {only}: phases are {', '.join(PHASES)}")
    return phases
