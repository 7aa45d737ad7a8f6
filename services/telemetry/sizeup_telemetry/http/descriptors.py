"""How many connections the process's limit of open files allows."""

import resource

_ENOUGH = 65536
"""Of open files: the limit is not raised above it. Some systems allow a billion, and programs exist
that visit each possible descriptor."""

_RESERVED = 64
"""For files, the event loop, the metrics port, and accepted connections that are not counted."""


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _ENOUGH:
        soft = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _ENOUGH if soft < 0 else soft


def connections_within(files: int) -> int:
    """Return the limit of connections by that of open files.

    A request may need a second one: a connection to a replica, or a file.
    """
    return max((files - _RESERVED) // 2, 4)


def accepted_at_once(connections: int) -> int:
    """Return how many connections are accepted in one turn of the event loop.

    The protocol sees them two turns later, so that up to three times as many exceed the limit of
    connections for a moment: few beside the descriptors that are reserved.
    """
    return min(max(connections // 16, 1), 32)
