"""Run a program to its end, within a deadline, and keep what it said for the explanation."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class CommandError(Exception):
    """A program failed or was too slow; the message has its last words."""


_SHOWN_CHARACTERS = 6000
"""The end of an output: what went wrong is there."""


def run(
    argv: Sequence[str | Path],
    *,
    seconds: float,
    stdin: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return what a program wrote to its standard output; CommandError with both outputs."""
    line = " ".join(str(part) for part in argv)
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            cwd=folder,
            env=None if environment is None else dict(environment),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{line}\nnot done within {seconds:g} s\n{_end_of(error)}") from None
    if done.returncode:
        said = f"{done.stdout}{done.stderr}"[-_SHOWN_CHARACTERS:]
        raise CommandError(f"{line}\nended with {done.returncode}\n{said}")
    return done.stdout


def _end_of(error: subprocess.TimeoutExpired) -> str:
    parts = (part for part in (error.stdout, error.stderr) if part)
    said = "".join(p.decode(errors="replace") if isinstance(p, bytes) else p for p in parts)
    return said[-_SHOWN_CHARACTERS:]
