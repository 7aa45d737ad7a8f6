import socket

import pytest

from sizeup.errors import PortInUseError, UsageError
from sizeup.ports import free_loopback_ports, require_free


def test_free_ports_are_distinct() -> None:
    ports = free_loopback_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        require_free("127.0.0.1", port)


def test_a_port_in_use_differs_from_an_unavailable_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(PortInUseError, match="--port"):
            require_free("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(PortInUseError):
            require_free("0.0.0.0", taken.getsockname()[1])
    with pytest.raises(UsageError, match="cannot listen"):
        require_free("192.0.2.1", 11434)
