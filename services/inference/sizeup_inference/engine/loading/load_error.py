"""The error of loading a model."""


class LoadError(Exception):
    """The model cannot be loaded with these settings; the message is safe to show to a user."""
