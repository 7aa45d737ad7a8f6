"""The errors that end a load test.

BenchError               ends a command with one message and an exit code
├── UsageError           invalid command line, or an invalid file named on it
│   └── ConfigError      invalid config; the message has one problem per line
├── TargetError          the server cannot be measured: unreachable, or a model is missing
└── FolderError          a run folder cannot be read or written
"""


class BenchError(Exception):
    """The message goes to the user."""

    exit_code = 1


class UsageError(BenchError):
    """Invalid command line or input file."""

    exit_code = 2


class ConfigError(UsageError):
    """Invalid config, one problem per line."""


class TargetError(BenchError):
    """The server cannot be measured."""


class FolderError(BenchError):
    """A run folder cannot be read or written."""
