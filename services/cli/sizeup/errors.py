"""Errors of the commands: one line for the user each."""


class SizeupError(Exception):
    """A command failed; the message is one line for the user."""


class UsageError(SizeupError):
    """An invalid argument: an unknown model, a malformed catalog file."""


class PortInUseError(SizeupError):
    """Another process listens on the port."""


class ChildFailedError(SizeupError):
    """A child of `up` exited repeatedly and was never ready."""


class GatewayUnreachableError(SizeupError):
    """No connection to the gateway, or no response in time."""


class GatewayRefusedError(SizeupError):
    """The gateway returned an error."""


class InvalidResponseError(SizeupError):
    """The gateway's response is incomplete or malformed."""
