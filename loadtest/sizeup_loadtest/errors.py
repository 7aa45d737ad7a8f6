"""The errors that end a load test."""


class BenchError(Exception):
    """Ends a command with one message to the user and an exit code."""

    exit_code = 1


class UsageError(BenchError):
    """Invalid command line or input file."""

    exit_code = 2


class ConfigError(UsageError):
    """Invalid config, one problem per line."""


class TargetError(BenchError):
    """The server cannot be measured: unreachable, or a model is missing."""


class FolderError(BenchError):
    """A run folder cannot be read or written."""


class UncomparableError(BenchError):
    """Two runs have nothing in common."""
