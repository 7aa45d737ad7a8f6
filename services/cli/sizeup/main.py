"""The `sizeup` command: options only; the work of each command is in its own package."""

import asyncio
import io
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer
from pydantic import ValidationError
from rich.console import Console

from sizeup.client.chat import Chat, read_line
from sizeup.client.compare.command import Compare, Request
from sizeup.client.compare.output import make_output
from sizeup.client.conversation import Conversation, ask_once, sampling_options
from sizeup.client.model_list import list_models, served_names, table_of
from sizeup.client.smoke_test import not_ready, read_key, smoke_test
from sizeup.client.terminal_text import json_line
from sizeup.deployment.backoff import Policy
from sizeup.deployment.local_deployment import check_startable, log_folder, serve_until_signal
from sizeup.deployment.plan import Options
from sizeup.deployment.report import PipeSafeConsole
from sizeup.errors import SizeupError, UsageError
from sizeup.models.catalog import load_catalog
from sizeup.models.local_models import DEFAULT_MODELS, ModelRegistry, split_names
from sizeup.settings import DEFAULT_PORT, MIRROR_PORT, Settings, inherited_environment
from sizeup_store.errors import StoreError
from sizeup_telemetry.secret_files import exposure_warning

app = typer.Typer(
    help="Serve several sizes of the Qwen models side by side, and talk to them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_PERMANENT_EXIT_CODE = 3
"""`pull` fails again until the hub or the model changes; after 1 a retry may succeed. Other codes:
2 for wrong options, 130 for Ctrl-C, 143 for SIGTERM."""

Url = Annotated[
    str | None,
    typer.Option(help="Gateway URL; default: SIZEUP_URL, else port 11434 of this machine."),
]
CatalogFile = Annotated[
    Path | None, typer.Option("--catalog", help="YAML file with additional models.")
]
MaxTokens = Annotated[int | None, typer.Option(help="Maximum number of tokens to generate.")]
System = Annotated[str | None, typer.Option(help="System message.")]
Temperature = Annotated[float | None, typer.Option(help="Sampling temperature; 0 is greedy.")]
Seed = Annotated[int | None, typer.Option(help="Random seed for reproducible output.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Models = Annotated[list[str] | None, typer.Option(help="Comma-separated names; may be repeated.")]
Family = Annotated[str | None, typer.Option(help="Every size of this family, such as qwen2.5.")]
Samples = Annotated[int, typer.Option(min=1, max=8, help="Answers of each size.")]
OneAtATime = Annotated[bool, typer.Option("--one-at-a-time", help="One size after the other.")]
MetricsPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port for metrics.")]
HealthPort = Annotated[int | None, typer.Option(min=1, max=65535, help="Port for /readyz.")]
WaitSeconds = Annotated[
    float | None,
    typer.Option(min=1, help="Longest silence of the gateway; default: SIZEUP_ANSWER_SECONDS."),
]


LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"], typer.Option(help="Log level of all processes.")
]


@app.command()
def up(
    more: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Same as --models.")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="Comma-separated names, pulled Hugging Face ids or folders; may be repeated."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The gateway's port.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="The gateway's listen address.")] = "127.0.0.1",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU threads per model. Default: all cores for each model except the toy models, "
            "since idle models use no CPU.",
        ),
    ] = None,
    drain_seconds: Annotated[
        float | None, typer.Option(min=0, help="Time for requests in flight after Ctrl-C.")
    ] = None,
    log_level: LogLevel = "info",
    catalog: CatalogFile = None,
) -> None:
    """Serve models behind one gateway until Ctrl-C. Default: the toy models."""
    settings = Settings()
    registry = ModelRegistry(load_catalog(settings, catalog), settings)
    names = [*(models or ()), *(more or ())] or DEFAULT_MODELS
    found = {model.model: model for model in map(registry.find, split_names(names))}
    options = Options(
        host=host,
        port=port,
        drain_seconds=settings.drain_seconds if drain_seconds is None else drain_seconds,
        log_level=log_level,
        log_dir=log_folder(settings.log_dir, port),
        created_models=settings.created_models,
        engine=settings.engine,
        environment=inherited_environment(),
        restart=Policy(first_seconds=settings.restart_seconds),
        threads=threads,
    )
    check_startable(list(found.values()), options)
    serving = serve_until_signal(list(found.values()), options, PipeSafeConsole())
    raise typer.Exit(asyncio.run(serving))


@app.command()
def ask(
    model: str,
    prompt: str,
    url: Url = None,
    max_tokens: MaxTokens = None,
    system: System = None,
    temperature: Temperature = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Send one prompt to a model; print the response and its length in tokens."""
    settings = Settings()
    question = Conversation(model, system, sampling_options(max_tokens, temperature, seed))
    question.add("user", prompt)
    answer = asyncio.run(ask_once(question, url or settings.url, settings.answer_seconds))
    typer.echo(json_line(answer) if as_json else repr(answer))


@app.command()
def chat(
    model: str,
    url: Url = None,
    max_tokens: MaxTokens = None,
    system: System = None,
    temperature: Temperature = None,
    seed: Seed = None,
) -> None:
    """Chat with a model. /bye or Ctrl-D exits, Ctrl-C stops a response."""
    settings = Settings()
    conversation = Conversation(model, system, sampling_options(max_tokens, temperature, seed))
    session = Chat(conversation, url or settings.url, settings.answer_seconds, Console())
    if not session.run(read_line):
        raise typer.Exit(1)


@app.command()
def compare(
    prompt: str,
    models: Models = None,
    family: Family = None,
    url: Url = None,
    max_tokens: MaxTokens = None,
    system: System = None,
    temperature: Temperature = None,
    seed: Seed = None,
    samples: Samples = 1,
    one_at_a_time: OneAtATime = False,
    wait_seconds: WaitSeconds = None,
    as_json: AsJson = False,
) -> None:
    """Send one prompt to every size, or to --models or a --family; show the answers side by side.

    Ctrl-C stops every answer. Fails unless every size answers.
    """
    settings = Settings()
    names = tuple(dict.fromkeys(split_names(models))) if models else None
    sampling = sampling_options(max_tokens, temperature, seed)
    request = Request(prompt, names, family, system, sampling, samples, one_at_a_time)
    if fault := request.fault():
        raise typer.BadParameter(fault)
    session = Compare(request, url or settings.url, wait_seconds or settings.answer_seconds)
    if not (session.run_json() if as_json else session.run(make_output(prompt))):
        raise typer.Exit(1)


@app.command()
def models(
    show_all: Annotated[bool, typer.Option("--all", help="Include models to pull.")] = False,
    url: Url = None,
    catalog: CatalogFile = None,
) -> None:
    """List the models on this machine and the served models."""
    settings = Settings()
    address = url or settings.url
    served = asyncio.run(served_names(address))
    rows = list_models(ModelRegistry(load_catalog(settings, catalog), settings), served or ())
    shown = [row for row in rows if show_all or row.served or row.disk_bytes is not None]
    console = Console()
    console.print(table_of(shown))
    if served is None:
        console.print(f"no gateway at {address}", style="dim")
    if pullable := sum("/" in row.id for row in rows if row not in shown):
        console.print(f"{pullable} more can be pulled: sizeup models --all")


@app.command()
def pull(
    model: str,
    endpoint: Annotated[
        str | None, typer.Option(help="URL of the hub or a mirror; default: HF_ENDPOINT.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Default: HF_HUB_CACHE or HF_HOME.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
    metrics_port: MetricsPort = None,
    health_port: HealthPort = None,
    progress_file: Annotated[
        bool,
        typer.Option("--progress-file", help="Write the progress to the cache, for waiting pods."),
    ] = False,
    catalog: CatalogFile = None,
) -> None:
    """Download a model into the Hugging Face cache and verify the checksums of its files."""
    # huggingface_hub takes half a second to import, and no other command needs it.
    from sizeup.pull.command import run_pull

    settings = Settings()
    _, entry = ModelRegistry(load_catalog(settings, catalog), settings).resolve(model)
    if "/" not in entry.id:
        raise UsageError(f"{model} is part of the source tree and cannot be pulled")
    snapshot = run_pull(
        settings,
        Console(),
        endpoint=endpoint,
        model_id=entry.id,
        revision=revision or entry.revision or "main",
        cache=(cache or settings.hub_cache).expanduser(),
        metrics_port=metrics_port,
        health_port=health_port,
        progress_file=progress_file,
    )
    typer.echo(f"{entry.id} is complete and verified: {snapshot}")


@app.command()
def check(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL")] = None,
    url: Url = None,
    if_ready: Annotated[
        list[str] | None, typer.Option(help="Skip this model unless it is ready; may be repeated.")
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="API key file of the gateway; its first key is used.")
    ] = None,
) -> None:
    """Smoke test: one request per model, API and streaming mode; fail on any invalid response.

    --if-ready does not activate models scaled to zero; all of them being unloaded is a success.
    """
    if not models and not if_ready:
        raise UsageError("no models given: name a model, or use --if-ready")
    settings = Settings()
    address, key = (url or settings.url).rstrip("/"), read_key(api_key_file)
    if api_key_file is not None and (warning := exposure_warning(api_key_file)):
        typer.echo(warning, err=True)
    names = [*(models or ()), *(if_ready or ())]
    if not asyncio.run(_check(address, names, set(if_ready or ()), key, settings.answer_seconds)):
        raise typer.Exit(1)


async def _check(
    url: str, models: list[str], optional: set[str], key: str | None, response_seconds: float
) -> bool:
    skipped = await not_ready(url, optional, key) if optional else {}
    for model in sorted(skipped):
        typer.echo(f"{model}  not ready: skipped")
    tested = [model for model in models if model not in skipped]
    if skipped and not tested:
        unloaded = set(skipped.values()) == {"unloaded"}
        typer.echo("all models are scaled to zero" if unloaded else "no model is ready")
        return unloaded
    success = True
    async for result in smoke_test(url, tested, key, response_seconds):
        typer.echo(str(result))
        success = success and result.fault is None
    return success


@app.command()
def mirror(
    folder: Annotated[
        Path, typer.Argument(help="Folder of Hugging Face model folders, or a Hugging Face cache.")
    ],
    host: Annotated[str, typer.Option(help="Listen address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port.")] = MIRROR_PORT,
    api_docs: Annotated[bool, typer.Option(help="Serve /docs and /openapi.json.")] = True,
) -> None:
    """Serve the models of a folder as a Hugging Face hub, for HF_ENDPOINT and pull --endpoint.

    Hidden files and links to files outside the folder are not served.
    """
    # FastAPI takes half a second to import, and no other command needs it.
    from sizeup.mirror.server import serve_mirror

    serve_mirror(folder, host, port, api_docs=api_docs)


def run(command: Callable[[], object]) -> int:
    """Run a command line and return its exit code; errors become one line on stderr."""
    try:
        command()
    except SizeupError as error:
        print(f"sizeup: {error}", file=sys.stderr)
        return 1
    except StoreError as error:
        print(f"sizeup: {error}", file=sys.stderr)
        return _PERMANENT_EXIT_CODE if error.permanent else 1
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(map(str, problem["loc"]))
            print(f"sizeup: setting {where}: {problem['msg']}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the terminal's encoding may lack characters
            stream.reconfigure(errors="backslashreplace")
    # The first process of a container ignores signals without a handler.
    signal.signal(signal.SIGTERM, _exit_on_signal)
    sys.exit(run(app))


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
