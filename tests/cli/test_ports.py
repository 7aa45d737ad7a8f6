import socket

import pytest

from sizeup.errors import PortInUseError, UsageError
from sizeup.ports import every_address, free_loopback_ports, require_free, url


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


def test_every_address_can_be_listened_on() -> None:
    require_free(every_address(), 0)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1"), ("::", "[::]"), ("[::1]", "[::1]"), ("localhost", "localhost")],
)
def test_url_of_a_listen_address(host: str, expected: str) -> None:
    assert url(host, 8090) == f"http://{expected}:8090"
