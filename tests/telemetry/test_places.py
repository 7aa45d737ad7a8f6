"""Places of a bounded queue, shared by clients."""

import contextlib
from contextlib import ExitStack

import pytest

from sizeup_telemetry.places import FullError, Places


def fill(places: Places, stack: ExitStack, client: str, most: int = 1000) -> int:
    """Take one place after another; return how many there were."""
    for taken in range(most):
        if not places.has_room(client):
            return taken
        stack.enter_context(places.held(client))
    return most


def test_a_place_is_free_again_after_the_block_however_it_ends() -> None:
    places = Places(1)
    with contextlib.suppress(KeyError), places.held("a"):
        assert places.total == 1
        raise KeyError
    assert places.total == 0
    with places.held("b"):
        assert not places.has_room("b")
    assert (places.total, places.has_room("a")) == (0, True)


def test_a_full_one_raises_and_holds_nothing() -> None:
    places = Places(2)
    with places.held("a", 2):
        with pytest.raises(FullError), places.held("b"):
            pass
        assert places.total == 2
    assert places.total == 0


def test_one_client_leaves_the_reserve_to_others() -> None:
    places = Places(16)
    with ExitStack() as stack:
        assert fill(places, stack, "greedy") == 14
        assert fill(places, stack, "polite") == 2
        assert fill(places, stack, "third") == 0
    assert places.total == 0


def test_a_client_with_an_equal_share_takes_none_of_the_reserve() -> None:
    places = Places(16)
    with ExitStack() as stack:
        fill(places, stack, "a", 9)
        fill(places, stack, "b", 5)  # 14 of 16, and an equal share of three clients is 5
        assert not places.has_room("a")
        assert not places.has_room("b")
        assert places.has_room("c")


def test_every_place_is_used_where_many_clients_hold_one() -> None:
    places = Places(16)
    with ExitStack() as stack:
        assert sum(fill(places, stack, f"client {i}", 1) for i in range(20)) == 16


def test_several_places_are_held_as_one() -> None:
    places = Places(8)
    with places.held("a", 5):
        assert not places.has_room("a", 3)
        assert places.has_room("a", 2)
        assert places.total == 5


@pytest.mark.parametrize("capacity", range(1, 33))
def test_as_many_as_there_are_fit_at_once(capacity: int) -> None:
    with Places(capacity).held("a", capacity):
        pass


def test_more_than_there_are_hold_one() -> None:
    places = Places(4)
    with places.held("a", 5):
        assert places.total == 1
    assert places.total == 0


def test_a_lower_capacity_counts_from_the_next_request_on() -> None:
    places = Places(8)
    with places.held("a", 6):
        places.capacity = 4
        assert not places.has_room("b")
    assert places.has_room("b")
