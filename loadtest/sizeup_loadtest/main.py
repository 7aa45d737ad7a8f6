"""The `sizeup-bench` command: every module in `commands/` is one of its commands."""

import sys
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

import typer

from sizeup_loadtest import commands
from sizeup_loadtest.errors import BenchError


def build() -> typer.Typer:
    """Return the command line: a command per module, named like it, from its `command`."""
    app = typer.Typer(
        help="Compare the sizes of a model: speed, capacity, ability and cost.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for module in sorted(iter_modules(commands.__path__), key=lambda module: module.name):
        found = import_module(f"{commands.__name__}.{module.name}")
        app.command(module.name.replace("_", "-"))(found.command)
    return app


def run(command: Callable[[], object]) -> int:
    """Run a command line and return its exit code; errors become one message on stderr."""
    try:
        command()
    except BenchError as error:
        print(f"sizeup-bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> None:
    """Run `sizeup-bench`."""
    sys.exit(run(build()))
