"""Connections that fail for want of what the gateway itself has run out of."""

import errno

import aiohttp

_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Descriptors, memory, and local ports."""


def is_own_fault(error: aiohttp.ClientConnectorError) -> bool:
    """Whether a connection failed before the replica could have refused it."""
    return error.os_error.errno in _ERRNOS
