"""Everything the commands fail with: one line for the person, and an exit code.

1: it may work another time. 3: it will not, as long as the hub or the model is what it is. Given
elsewhere: 2 for options that do not exist, 130 for Ctrl-C, 143 for SIGTERM.
"""


class SizeupError(Exception):
    """A command cannot go on; the message says why and, where there is one, what to do."""

    code = "failed"
    exit_code = 1


class UsageError(SizeupError):
    """What was asked for cannot be understood: an unknown model, a broken catalogue file."""

    code = "usage"


class PortInUseError(SizeupError):
    """Somebody else listens on the port."""

    code = "port_in_use"


class ChildFailedError(SizeupError):
    """A process that `up` started died again and again before it was ever ready."""

    code = "child_failed"


class GatewayUnreachableError(SizeupError):
    """Nobody answers at the gateway's address."""

    code = "gateway_unreachable"


class GatewayRefusedError(SizeupError):
    """The gateway answered with an error."""

    code = "gateway_refused"


class BrokenAnswerError(SizeupError):
    """The gateway's answer was cut or is not in its own format."""

    code = "broken_answer"


class PullError(SizeupError):
    """A model could not be downloaded whole."""

    code = "pull_failed"


class HubUnreachableError(PullError):
    """The hub did not answer in time, or only with errors that may pass."""

    code = "hub_unreachable"


class HubRefusedError(PullError):
    """The hub says that the model does not exist or may not be read."""

    code = "hub_refused"
    exit_code = 3


class HubAnswerError(PullError):
    """The hub's answer is not what the protocol says: a web page, a short file."""

    code = "hub_answer"


class CorruptFileError(PullError):
    """A downloaded file's content is not what the hub promised."""

    code = "corrupt_file"


class UnsuitableModelError(PullError):
    """The repository has no safetensors or needs code of its own."""

    code = "unsuitable_model"
    exit_code = 3


class DiskError(PullError):
    """The cache cannot be written, or has no room."""

    code = "disk"
