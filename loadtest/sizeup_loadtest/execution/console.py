"""Where a run prints."""

import os

from rich.console import Console


class PipeSafeConsole(Console):
    """A console that survives a closed pipe: the run goes on, and its folder has everything."""

    def on_broken_pipe(self) -> None:
        """Stop printing; Python's flush at exit goes to /dev/null."""
        self.quiet = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.file.fileno())
        os.close(null)
