"""Every way the load test can end without results.

BenchError               ends a command with one line and an exit code
├── UsageError           the command line or a file it names is not right
│   └── ConfigError      the config is not right; the message has a line per mistake
├── TargetError          the server cannot be measured: nothing answers, or a model is not there
└── FolderError          a folder of a run cannot be read or written
"""


class BenchError(Exception):
    """End a command; the message is for the person."""

    exit_code = 1


class UsageError(BenchError):
    """Say what was asked for wrongly."""

    exit_code = 2


class ConfigError(UsageError):
    """Say what is wrong in a config, one mistake a line."""


class TargetError(BenchError):
    """Say why a server cannot be measured."""


class FolderError(BenchError):
    """Say what is wrong with a run's folder."""
