"""Runs a program with a deadline; its output is part of the error if it fails."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class CommandError(Exception):
    """A program failed or timed out; the message contains the end of its output."""


_SHOWN_CHARACTERS = 6000
"""Length of the output's end in an error message."""


def run(
    argv: Sequence[str | Path],
    *,
    seconds: float,
    stdin: str | None = None,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return a program's stdout. Raises CommandError with stdout and stderr."""
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
        raise CommandError(f"{line}\ntimed out after {seconds:g} s\n{_end_of(error)}") from None
    if done.returncode:
        output = f"{done.stdout}{done.stderr}"[-_SHOWN_CHARACTERS:]
        raise CommandError(f"{line}\nexit status {done.returncode}\n{output}")
    return done.stdout


def _end_of(error: subprocess.TimeoutExpired) -> str:
    parts = (part for part in (error.stdout, error.stderr) if part)
    output = "".join(p.decode(errors="replace") if isinstance(p, bytes) else p for p in parts)
    return output[-_SHOWN_CHARACTERS:]
