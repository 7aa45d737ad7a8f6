"""The `sizeup` command: options, and nothing else; each command's work is in its own module."""

import asyncio
import io
import json
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from sizeup.client import ask_client as asking
from sizeup.client import smoke_test as checking
from sizeup.client.chat import Chat, Conversation, read_line
from sizeup.client.model_list import list_models, served_names, table_of
from sizeup.deployment import local_deployment as upping
from sizeup.deployment.backoff import Policy
from sizeup.deployment.plan import Options
from sizeup.deployment.report import PatientConsole
from sizeup.errors import SizeupError, UsageError
from sizeup.mirror.server import DEFAULT_PORT as MIRROR_PORT
from sizeup.mirror.server import mirror as serve_mirror
from sizeup.models.catalogue import load_catalog
from sizeup.models.local_models import DEFAULT_MODELS, Shelf, split_names
from sizeup.pull.command import PullOptions, run_pull
from sizeup.settings import DEFAULT_PORT, Settings, inherited_environment
from sizeup_store.errors import StoreError
from sizeup_store.hub import HubOptions

app = typer.Typer(
    help="Serve the Qwen sizes side by side, ask them, and bring new ones in.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_PERMANENT_EXIT_CODE = 3
"""`pull` fails again until the hub or the model changes; 1 may be worth a retry. Other codes: 2 for
wrong options, 130 for Ctrl-C, 143 for SIGTERM."""

Url = Annotated[str | None, typer.Option(help="The gateway; default: SIZEUP_URL or this machine.")]
CatalogFile = Annotated[
    Path | None, typer.Option("--catalog", help="YAML file with models of your own.")
]
MaxTokens = Annotated[int | None, typer.Option(help="Longest answer in tokens.")]
System = Annotated[str | None, typer.Option(help="System message.")]
Temperature = Annotated[float | None, typer.Option(help="0 is greedy.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same answer.")]


class LogLevel(StrEnum):
    """How much the services write to their logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command()
def up(
    more: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Like --models.")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(help="Names, pulled Hugging Face ids or folders, by comma; may be repeated."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The gateway's port.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CPU threads per model. By default each model but a toy may use all cores: "
            "models that are not asked cost nothing.",
        ),
    ] = None,
    drain_seconds: Annotated[
        float | None, typer.Option(min=0, help="Time for running answers after Ctrl-C.")
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="Of all processes.")] = LogLevel.INFO,
    catalog: CatalogFile = None,
) -> None:
    """Serve models behind one gateway until Ctrl-C; the toy models when none is named."""
    settings = Settings()
    shelf = Shelf(load_catalog(settings, catalog), settings)
    chosen = [*(models or ()), *(more or ())] or DEFAULT_MODELS
    found = {model.model: model for model in map(shelf.find, split_names(chosen))}
    options = Options(
        host=host,
        port=port,
        drain_seconds=settings.drain_seconds if drain_seconds is None else drain_seconds,
        log_level=log_level.value,
        log_dir=upping.log_folder(settings.log_dir, port),
        engine=settings.engine,
        environment=inherited_environment(),
        restart=Policy(first_seconds=settings.restart_seconds),
        threads=threads,
    )
    upping.check(list(found.values()), options)
    raise typer.Exit(asyncio.run(upping.up(list(found.values()), options, PatientConsole())))


@app.command()
def ask(
    model: str,
    prompt: str,
    url: Url = None,
    max_tokens: MaxTokens = None,
    system: System = None,
    temperature: Temperature = None,
    seed: Seed = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask a model once; print its answer with lengths in tokens."""
    settings = Settings()
    question = asking.Question(model, prompt, system, max_tokens, temperature, seed)
    answer = asyncio.run(asking.ask(question, url or settings.url, settings.answer_seconds))
    typer.echo(json.dumps(answer, ensure_ascii=False) if as_json else repr(answer))


@app.command()
def chat(
    model: str,
    url: Url = None,
    max_tokens: MaxTokens = None,
    system: System = None,
    temperature: Temperature = None,
    seed: Seed = None,
) -> None:
    """Talk with a model; /bye or Ctrl-D leaves, Ctrl-C stops an answer."""
    settings = Settings()
    conversation = Conversation(model, asking.options(max_tokens, temperature, seed))
    if system:
        conversation.messages.append({"role": "system", "content": system})
    talk = Chat(conversation, url or settings.url, settings.answer_seconds, Console())
    if not talk.run(read_line):
        raise typer.Exit(1)


@app.command()
def models(
    show_all: Annotated[
        bool, typer.Option("--all", help="Also those that could be pulled.")
    ] = False,
    url: Url = None,
    catalog: CatalogFile = None,
) -> None:
    """List the models on this machine and those being served."""
    settings = Settings()
    address = url or settings.url
    served = asyncio.run(served_names(address))
    rows = list_models(Shelf(load_catalog(settings, catalog), settings), served or ())
    shown = [row for row in rows if show_all or row.served or row.disk_bytes is not None]
    console = Console()
    console.print(table_of(shown))
    if served is None:
        console.print(f"no gateway answers at {address}", style="dim")
    if pullable := sum("/" in row.id for row in rows if row not in shown):
        console.print(f"{pullable} more can be pulled: sizeup models --all")


@app.command()
def pull(
    model: str,
    endpoint: Annotated[
        str | None, typer.Option(help="The hub or a mirror; default: HF_ENDPOINT.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Cache folder; default: HF_HUB_CACHE or HF_HOME.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve the progress to Prometheus here.")
    ] = None,
    progress_file: Annotated[
        bool,
        typer.Option("--progress-file", help="Keep the progress in the cache, for who waits."),
    ] = False,
    catalog: CatalogFile = None,
) -> None:
    """Download a model into the Hugging Face cache and verify every weight file."""
    settings = Settings()
    _, entry = Shelf(load_catalog(settings, catalog), settings).named(model)
    if "/" not in entry.id:
        raise UsageError(f"{model} comes with the source; there is nothing to pull")
    options = PullOptions(
        hub=HubOptions(
            endpoint=endpoint or settings.hf_endpoint,
            token=None,
            silence_seconds=settings.hub_seconds,
            attempts=settings.hub_attempts,
            backoff_seconds=settings.hub_backoff_seconds,
            ca_file=settings.ca_file,
        ),
        model_id=entry.id,
        revision=revision or entry.revision or "main",
        cache=(cache or settings.hub_cache).expanduser(),
        offline=settings.hf_hub_offline,
        metrics_port=metrics_port,
        progress_file=progress_file,
        umask=settings.umask,
    )
    snapshot = run_pull(options, Console())
    typer.echo(f"{entry.id} is complete and verified: {snapshot}")


@app.command()
def check(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL")] = None,
    url: Url = None,
    if_ready: Annotated[
        list[str] | None, typer.Option(help="A model that may be not ready; may be repeated.")
    ] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="The gateway's file of keys.")] = None,
) -> None:
    """Ask each model on both APIs, whole and streamed; fail when one answer is not right.

    Those of --if-ready are not woken when they sleep; when all do, that is no failure.
    """
    if not models and not if_ready:
        raise UsageError("name a model, or give --if-ready")
    settings = Settings()
    address, key = (url or settings.url).rstrip("/"), checking.read_key(api_key_file)
    asked = [*(models or ()), *(if_ready or ())]
    if not asyncio.run(_check(address, asked, set(if_ready or ()), key, settings.answer_seconds)):
        raise typer.Exit(1)


async def _check(
    url: str, models: list[str], optional: set[str], key: str | None, answer_seconds: float
) -> bool:
    skipped = await checking.unready(url, optional, key) if optional else {}
    for model in sorted(skipped):
        typer.echo(f"{model}  not ready: skipped")
    fine = True
    asked = [model for model in models if model not in skipped]
    if skipped and not asked:
        asleep = set(skipped.values()) == {"unloaded"}
        typer.echo("every model sleeps until somebody asks it" if asleep else "no model is ready")
        return asleep
    async for result in checking.check(url, asked, key, answer_seconds):
        typer.echo(str(result))
        fine = fine and result.fault is None
    return fine


@app.command()
def mirror(
    folder: Annotated[
        Path, typer.Argument(help="Holds Hugging Face model folders, or is a Hugging Face cache.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = MIRROR_PORT,
) -> None:
    """Serve the models below a folder as a hub, for pull --endpoint and HF_ENDPOINT.

    Links that lead out of the folder and hidden files are not served.
    """
    serve_mirror(folder, host, port)


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
    """Be the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know fewer letters than a model
            stream.reconfigure(errors="backslashreplace")
    # The first process of a container is deaf to signals it has no handler for.
    signal.signal(signal.SIGTERM, _end)
    sys.exit(run(app))


def _end(number: int, _frame: FrameType | None) -> None:
    """End in the way and with the code that shells know."""
    sys.exit(128 + number)
