"""The `sizeup-bench` program."""

import io
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
    except OSError as error:  # of standard output, as on a full disk
        print(f"sizeup-bench: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # characters that the terminal's encoding lacks
            stream.reconfigure(errors="replace")
    sys.exit(run(build()))
