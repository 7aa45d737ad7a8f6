"""Which request is next, of several clients."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count, islice

import pytest

from sizeup_inference.engine.scheduling import waiting_queue
from sizeup_inference.engine.scheduling.waiting_queue import WaitingQueue


@dataclass(frozen=True, slots=True)
class Item:
    client: str
    number: int = 0
    cost: int = 10


def queue(*items: Item) -> WaitingQueue[Item]:
    made: WaitingQueue[Item] = WaitingQueue(lambda item: item.client, lambda item: item.cost)
    for item in items:
        made.append(item)
    return made


def items(client: str, number: int, cost: int = 10) -> Iterable[Item]:
    return (Item(client, i, cost) for i in range(number))


def take(waiting: WaitingQueue[Item], number: int = 1) -> list[Item]:
    """Take the next ones, one by one."""
    taken = []
    for _ in range(number):
        taken.append(next(iter(waiting)))
        waiting.take(taken[-1])
    return taken


def clients(taken: Iterable[Item]) -> str:
    return "".join(item.client for item in taken)


def test_requests_of_one_client_keep_their_order() -> None:
    waiting = queue(*items("a", 5), *items("b", 5))
    taken = take(waiting, 10)
    for client in "ab":
        assert [item.number for item in taken if item.client == client] == [0, 1, 2, 3, 4]
    assert not waiting


def test_clients_of_equal_cost_take_turns() -> None:
    waiting = queue(*items("a", 4), *items("b", 2), *items("c", 1))
    assert clients(take(waiting, 7)) == "cbabaaa"  # of equal ones that with the fewest requests


def test_the_iteration_is_the_order_in_which_items_are_taken() -> None:
    made = [Item(client, i, 3 + i % 5) for i in range(8) for client in "aab"]
    planned = list(queue(*made))
    assert planned == take(queue(*made), len(made))


def test_the_client_that_was_served_less_is_next() -> None:
    waiting = queue(*items("long", 3, 100), *items("short", 30, 10))
    assert Counter(clients([item]) for item in take(waiting, 22)) == {"long": 2, "short": 20}


def test_output_counts_like_the_prompt() -> None:
    waiting = queue(*items("a", 4), *items("b", 4))
    waiting.charge("a", 25)
    assert clients(take(waiting, 6)) == "bbbaba"


def test_an_idle_client_does_not_save_up_its_share() -> None:
    waiting = queue(Item("b"), *items("a", 300))
    take(waiting, 201)
    for item in items("b", 90):
        waiting.append(item)
    assert clients(take(waiting, 40)).count("a") >= 19


def test_a_new_client_is_next_beside_one_that_is_being_served() -> None:
    waiting = queue(*items("greedy", 500))
    take(waiting, 16)
    waiting.charge("greedy", 2)
    waiting.append(Item("polite"))
    assert take(waiting) == [Item("polite")]


def test_new_clients_do_not_delay_one_with_a_higher_counter_for_ever() -> None:
    waiting = queue(Item("a", cost=1000))
    take(waiting)
    waiting.append(Item("a"))
    for number in range(300):  # a's 1000 tokens, shared with the two that are there at a time
        waiting.append(Item(f"one-shot {number}"))
        if take(waiting) == [Item("a")]:
            return
    pytest.fail("starved")


def test_a_resumed_item_is_first_and_charged_once() -> None:
    waiting = queue(*items("a", 2), *items("b", 2))
    (preempted,) = take(waiting)
    waiting.resume(preempted)
    assert take(waiting, 4) == [preempted, Item("b"), Item("a", 1), Item("b", 1)]


def test_items_that_are_removed_are_not_charged() -> None:
    waiting = queue(*items("a", 3), *items("b", 3))
    (resumed,) = take(waiting)
    waiting.resume(resumed)
    for item in (resumed, Item("b", 0), Item("a", 1)):
        waiting.remove(item)
    assert clients(take(waiting, 3)) == "bab"
    with pytest.raises(ValueError, match="not in"):
        waiting.remove(resumed)


def test_many_clients_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_queue, "_MAX_COUNTERS", 8)
    waiting = queue()
    for number in range(100):
        waiting.append(Item(f"c{number}", cost=1000 - number))
        take(waiting)
        assert len(waiting._counters) <= 9


def test_iterating_allows_taking() -> None:
    waiting = queue(*items("a", 3), *items("b", 3))
    taken = []
    for item in waiting:
        waiting.take(item)
        taken.append(item)
    assert clients(taken) == "ababab"
    assert not list(waiting)


class Workload:
    """Random operations; clients x and y always have requests in the queue."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.waiting = queue()
        self.numbers = count()
        self.added: list[Item] = []
        self.ended: list[Item] = []
        self.running: list[Item] = []
        self.served: Counter[str] = Counter()
        self.largest_gap = 0

    def add(self, client: str) -> None:
        item = Item(client, next(self.numbers), self.rng.randint(1, 50))
        self.added.append(item)
        self.waiting.append(item)

    def take(self) -> None:
        item = next(iter(self.waiting))
        self.waiting.take(item)
        output = self.rng.randint(0, 50)
        if item not in self.running:
            self.waiting.charge(item.client, output)
            self.served[item.client] += item.cost + output
        self.ended.append(item)

    def step(self) -> None:
        for client in "xy":
            if not any(item.client == client for item in self.waiting):
                self.add(client)
        match self.rng.randrange(6):
            case 0 | 1:
                self.add(self.rng.choice("xyabc"))
            case 2:
                self.add(f"one-shot {len(self.added)}")
            case 3 if self.ended:
                self._resume()
            case 4 if others := [item for item in self.waiting if item.client not in "xy"]:
                self._remove(self.rng.choice(others))
            case _:
                self.take()
        self.largest_gap = max(self.largest_gap, abs(self.served["x"] - self.served["y"]))

    def _resume(self) -> None:
        item = self.ended.pop()
        self.running.append(item)
        self.waiting.resume(item)

    def _remove(self, item: Item) -> None:
        self.waiting.remove(item)
        self.ended.append(item)


@pytest.mark.parametrize("seed", range(5))
def test_random_operations(seed: int) -> None:
    workload = Workload(seed)
    for _ in range(600):
        workload.step()
        assert len(workload.waiting) == len(list(workload.waiting))
    assert workload.largest_gap <= 100  # prompt and output of one request
    while workload.waiting:
        workload.take()
    assert sorted(workload.ended, key=str) == sorted(workload.added, key=str)


def test_the_next_of_many_is_found_without_ordering_all() -> None:
    waiting = queue(*(item for i in range(50) for item in items(f"c{i}", 10)))
    assert [item.number for item in islice(waiting, 50)] == [0] * 50
