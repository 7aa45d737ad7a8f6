"""Errors of the commands: one line for the user each."""


class SizeupError(Exception):
    """A command cannot go on; the message says why and, where there is one, what to do."""

    code = "failed"


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
