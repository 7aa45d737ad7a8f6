"""The `sizeup-bench` program."""

import sys
from collections.abc import Callable

import typer

from sizeup_loadtest.cli import COMMANDS
from sizeup_loadtest.errors import BenchError


def build() -> typer.Typer:
    app = typer.Typer(
        help="Compare the sizes of a model: latency, throughput, capacity, accuracy and cost.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for command in COMMANDS:
        app.command()(command)
    return app


def run(command: Callable[[], object]) -> int:
    """Run a command and return its exit code; an error is one message on stderr."""
    try:
        command()
    except BenchError as error:
        print(f"sizeup-bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> None:
    sys.exit(run(build()))
