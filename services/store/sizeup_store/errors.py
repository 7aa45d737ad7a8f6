"""Errors of the model store. Messages are one line and never contain tokens or signed URLs."""


class StoreError(Exception):
    """A model cannot be loaded or downloaded."""

    code = "store_failed"
    permanent = False
    """True: the same command fails again until the hub or the model changes."""


class PullError(StoreError):
    """A model could not be downloaded completely."""

    code = "pull_failed"


class InvalidOptionError(PullError):
    """An endpoint, revision, proxy or certificate file that cannot be used."""

    code = "invalid_option"


class HubUnreachableError(PullError):
    """No response from the hub in time, or only transient errors."""

    code = "hub_unreachable"


class HubRefusedError(PullError):
    """The model does not exist on the hub, or the token has no access to it."""

    code = "hub_refused"
    permanent = True


class HubResponseError(PullError):
    """The hub violated its protocol: an HTML page, a wrong length, too many redirects."""

    code = "hub_response"


class CorruptFileError(PullError):
    """The content of a downloaded file does not match its checksum or its own header."""

    code = "corrupt_file"


class UnsupportedModelError(PullError):
    """The repository has no safetensors, or requires trust_remote_code."""

    code = "unsupported_model"
    permanent = True


class DiskError(PullError):
    """The cache is not writable or has no space left."""

    code = "disk"
