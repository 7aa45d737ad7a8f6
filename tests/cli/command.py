"""Run the command line in this process."""

import sys

import pytest

from sizeup.main import app, run


class Command:
    """A command line with its exit code and output."""

    def __init__(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        *arguments: str,
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["sizeup", *arguments])
        try:
            self.code = run(app)
        except SystemExit as exited:
            self.code = int(exited.code or 0)
        captured = capsys.readouterr()
        self.out, self.err = captured.out, captured.err
