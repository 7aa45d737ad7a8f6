"""Both page allocators against a reference model of ownership."""

import random
from collections.abc import Callable

import pytest

from sizeup_inference.engine.page_allocator import (
    BlockTable,
    ContiguousPages,
    Move,
    PageAllocator,
    ScatteredPages,
)

ALLOCATORS: list[Callable[[int], PageAllocator]] = [ScatteredPages, ContiguousPages]
OPERATIONS = 2000
both = pytest.mark.parametrize("allocator", ALLOCATORS)


class Pool:
    """An allocator with a label in each page, and the expected labels of each table."""

    def __init__(self, pages: PageAllocator) -> None:
        self.pages = pages
        self.content: list[str | None] = [None] * pages.total
        self.tables: dict[int, BlockTable] = {}
        self.made = 0

    def allocate(self, count: int) -> bool:
        free = self.pages.num_free
        table = self.pages.allocate(count)
        if table is None:
            assert self.pages.num_free == free
            return False
        assert len(table) == count
        self.tables[self.made] = table
        self._write(self.made, 0)
        self.made += 1
        return True

    def extend(self, name: int, count: int) -> bool:
        table = self.tables[name]
        before, free = list(table), self.pages.num_free
        moves = self.pages.extend(table, count)
        if moves is None:
            assert (table, self.pages.num_free) == (before, free)
            return False
        assert len(table) == len(before) + count
        for move in moves:
            self._carry_out(move)
        self._write(name, len(before))
        return True

    def release(self, name: int) -> None:
        table = self.tables.pop(name)
        self.pages.release(table)
        assert table == []

    def check(self) -> None:
        """No page is shared or lost, and every page holds what its owner wrote."""
        held = [page for table in self.tables.values() for page in table]
        assert len(held) == len(set(held))
        assert set(held) <= set(range(self.pages.total))
        assert self.pages.num_free == self.pages.total - len(held)
        for name, table in self.tables.items():
            assert [self.content[p] for p in table] == [f"{name}:{i}" for i in range(len(table))]

    def _carry_out(self, move: Move) -> None:
        source = range(move.source, move.source + move.count)
        target = range(move.target, move.target + move.count)
        assert not set(source) & set(target)
        for old, new in zip(source, target, strict=True):
            self.content[new] = self.content[old]

    def _write(self, name: int, start: int) -> None:
        table = self.tables[name]
        for i in range(start, len(table)):
            self.content[table[i]] = f"{name}:{i}"


def operate(pool: Pool, rng: random.Random) -> None:
    name = rng.choice(list(pool.tables)) if pool.tables else None
    kind = rng.random()
    if name is None or kind < 0.35:
        pool.allocate(rng.choice((1, 1, 2, 3, 7)))
    elif kind < 0.75:
        pool.extend(name, rng.choice((1, 1, 1, 2, 5)))
    else:
        pool.release(name)


@both
@pytest.mark.parametrize("total", [1, 5, 64])
def test_no_page_is_shared_lost_or_miscopied(
    allocator: Callable[[int], PageAllocator], total: int
) -> None:
    rng = random.Random(total)
    pool = Pool(allocator(total))
    for _ in range(OPERATIONS):
        operate(pool, rng)
        pool.check()
    for name in list(pool.tables):
        pool.release(name)
    assert pool.pages.num_free == total
    assert pool.allocate(total), "the pool is whole again"
    pool.check()


@pytest.mark.parametrize("total", [5, 64])
def test_contiguous_tables_stay_one_run(total: int) -> None:
    rng = random.Random(total)
    pool = Pool(ContiguousPages(total))
    for _ in range(OPERATIONS):
        operate(pool, rng)
        for table in pool.tables.values():
            assert table == list(range(table[0], table[0] + len(table)))


def test_scattered_allocation_fails_only_when_too_few_are_free() -> None:
    rng = random.Random(3)
    pool = Pool(ScatteredPages(16))
    for _ in range(OPERATIONS):
        count, free = rng.randint(1, 6), pool.pages.num_free
        assert pool.allocate(count) is (count <= free)
        while pool.tables and rng.random() < 0.5:
            pool.release(rng.choice(list(pool.tables)))


def test_contiguous_pages_grow_in_place_before_they_move() -> None:
    pages = ContiguousPages(10)
    table = pages.allocate(3)
    assert table is not None
    assert pages.extend(table, 2) == ()
    assert table == [0, 1, 2, 3, 4]


def test_contiguous_pages_move_past_an_allocated_run() -> None:
    pages = ContiguousPages(10)
    table, neighbour = pages.allocate(2), pages.allocate(1)
    assert table is not None
    assert neighbour == [2]
    assert pages.extend(table, 1) == (Move(source=0, target=3, count=2),)
    assert table == [3, 4, 5]
    assert pages.num_free == 6


def test_contiguous_allocation_fails_when_free_pages_are_fragmented() -> None:
    pages = ContiguousPages(6)
    tables = [pages.allocate(2) for _ in range(3)]
    for table in (tables[0], tables[2]):
        assert table is not None
        pages.release(table)
    assert pages.num_free == 4
    assert pages.allocate(3) is None
    assert pages.allocate(2) is not None


@both
def test_releasing_an_empty_table_changes_nothing(
    allocator: Callable[[int], PageAllocator],
) -> None:
    pages = allocator(4)
    pages.release([])
    assert pages.num_free == 4


@both
def test_an_empty_pool_allocates_nothing(
    allocator: Callable[[int], PageAllocator],
) -> None:
    assert allocator(0).allocate(1) is None
