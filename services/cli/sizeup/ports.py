"""TCP ports: free ones, ports in use, and HTTP servers beside a command."""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from socketserver import BaseServer
from threading import Thread

from sizeup.errors import PortInUseError, UsageError

_LOOPBACK = "127.0.0.1"


def every_address() -> str:
    """Return what to listen on for clients of any network, which may have no IPv4."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"


def url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{port}"


def require_free(host: str, port: int) -> None:
    """Raise PortInUseError or UsageError unless a server can listen here."""
    try:
        _bound(host, port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"port {port} on {host} is in use (Ollama, or another sizeup?); "
                f"stop it or choose another: --port {port + 1}"
            ) from error
        raise UsageError(f"cannot listen on {host} port {port}: {error.strerror}") from error


@contextmanager
def serving(
    option: str, port: int | None, start: Callable[[int, str], tuple[BaseServer, Thread]]
) -> Iterator[None]:
    """Serve on all interfaces during the block, unless the port is None; raises PortInUseError.

    `start` takes port and address, and raises OSError; `option` names the port to the user.
    """
    if port is None:
        yield
        return
    try:
        server, thread = start(port, every_address())
    except OSError as error:
        raise PortInUseError(f"{option} {port}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_loopback_ports(count: int) -> list[int]:
    """Return free ports; all are bound until the last is found, so they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(_bound(_LOOPBACK, 0)) for _ in range(count)]
        return [int(bound.getsockname()[1]) for bound in sockets]


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(1)  # with SO_REUSEADDR two sockets can bind, but only one can listen
    except OSError:
        bound.close()
        raise
    return bound
