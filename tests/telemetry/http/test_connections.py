from dataclasses import dataclass, field

from sizeup_telemetry.http.connections import Connections


@dataclass(eq=False)
class Fake:
    evicted: list[bool] = field(default_factory=list)
    refused: list[bool] = field(default_factory=list)

    def evict(self) -> None:
        self.evicted.append(True)

    def refuse_body(self) -> None:
        self.refused.append(True)


def opened(connections: Connections, count: int, address: str = "a") -> list[Fake]:
    fakes = [Fake() for _ in range(count)]
    assert all(connections.open(fake, address) for fake in fakes)
    return fakes


def received(connections: Connections, count: int, address: str = "a") -> list[Fake]:
    """Return connections whose body is incomplete."""
    fakes = opened(connections, count, address)
    assert all(connections.begin_request(fake) for fake in fakes)
    return fakes


def serve(connections: Connections, fake: Fake) -> bool:
    is_admitted = connections.begin_request(fake)
    connections.complete_request(fake)
    return is_admitted


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
        serve(connections, fake)
    assert not connections.open(Fake(), "a")
    connections.close(fakes[0])
    assert connections.open(Fake(), "a")


def test_requests_leave_connections_for_refusals_and_probes() -> None:
    connections = Connections(16)
    fakes = opened(connections, 16)
    assert [serve(connections, fake) for fake in fakes] == [True] * 14 + [False] * 2


def test_the_body_that_has_been_incomplete_longest_ends_for_another_request() -> None:
    connections = Connections(16)
    slow = received(connections, 14)
    connections.complete_request(slow[0])
    (other,) = opened(connections, 1, "b")
    assert connections.begin_request(other)
    assert [fake.refused for fake in slow] == [[], [True], *[[]] * 12]


def test_the_address_with_most_incomplete_bodies_loses_one() -> None:
    connections = Connections(16)
    (first,) = received(connections, 1, "b")
    slow = received(connections, 14, "a")
    assert not first.refused
    assert slow[0].refused


def test_an_incomplete_body_ends_for_a_new_connection() -> None:
    connections = Connections(2)
    served, slow = opened(connections, 2)
    serve(connections, served)
    connections.begin_request(slow)
    opened(connections, 1)
    assert slow.refused
    assert slow.evicted
    assert not served.evicted


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
