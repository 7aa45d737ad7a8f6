from dataclasses import dataclass, field

from sizeup_telemetry.http.connections import Connections


@dataclass(eq=False)
class Fake:
    evicted: list[bool] = field(default_factory=list)

    def evict(self) -> None:
        self.evicted.append(True)


def opened(connections: Connections, count: int) -> list[Fake]:
    fakes = [Fake() for _ in range(count)]
    assert all(connections.open(fake) for fake in fakes)
    return fakes


def test_the_connection_that_has_waited_longest_is_evicted() -> None:
    connections = Connections(3)
    first, second, third = opened(connections, 3)
    connections.begin_request(first)
    connections.end_request(first)
    connections.begin_request(third)
    opened(connections, 1)
    assert (first.evicted, second.evicted, third.evicted) == ([], [True], [])


def test_without_an_idle_connection_a_new_one_is_refused() -> None:
    connections = Connections(2)
    fakes = opened(connections, 2)
    for fake in fakes:
        connections.begin_request(fake)
    assert not connections.open(Fake())
    connections.close(fakes[0])
    assert connections.open(Fake())


def test_requests_leave_connections_for_refusals_and_probes() -> None:
    connections = Connections(16)
    fakes = opened(connections, 16)
    assert [connections.begin_request(fake) for fake in fakes] == [True] * 14 + [False] * 2


def test_a_closed_connection_stays_closed() -> None:
    connections = Connections(1)
    (fake,) = opened(connections, 1)
    connections.close(fake)
    connections.close(fake)
    connections.end_request(fake)
    opened(connections, 1)
    assert not fake.evicted


def test_buffered_bytes_are_bounded_together() -> None:
    connections = Connections(2, max_held_bytes=10)
    assert connections.hold(6)
    assert not connections.hold(6)
    assert connections.hold(-6)
