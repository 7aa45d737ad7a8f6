"""Errors of the model store. Messages are one line and never contain tokens or signed URLs."""


class StoreError(Exception):
    """A model cannot be loaded or downloaded."""

    permanent = False
    """True: the same command fails again until the hub or the model changes."""


class PullError(StoreError):
    """A model could not be downloaded completely."""


class InvalidOptionError(PullError):
    """An endpoint, revision, proxy or certificate file that cannot be used."""


class HubUnreachableError(PullError):
    """No response from the hub in time, or only transient errors."""


class HubRefusedError(PullError):
    """The model does not exist on the hub, or the token has no access to it."""

    permanent = True


class HubResponseError(PullError):
    """The hub violated its protocol: an HTML page, a wrong length, too many redirects."""


class CorruptFileError(PullError):
    """The content of a downloaded file does not match its checksum or its own header."""


class UnsupportedModelError(PullError):
    """The repository has no safetensors, or requires trust_remote_code."""

    permanent = True


class DiskError(PullError):
    """The cache is not writable or has no space left."""
