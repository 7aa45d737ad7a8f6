"""The page allocator against a reference model of ownership, and its index of cached pages."""

import random
from collections import Counter

import pytest

from sizeup_inference.engine.scheduling.page_allocator import BlockTable, PageAllocator

TOKENS = (1, 2, 3, 4)


def table_of(pages: PageAllocator, count: int) -> BlockTable:
    table = pages.allocate([], count)
    assert table is not None
    return table


def cached_chain(pages: PageAllocator, salt: str | None, length: int) -> BlockTable:
    """Allocate a table and cache each page under the one before it."""
    table = table_of(pages, length)
    parent: int | str | None = salt
    for page in table:
        parent = pages.cache((parent, TOKENS), page)
    return table


def find_chain(pages: PageAllocator, salt: str | None) -> BlockTable:
    found, parent = [], salt
    while (entry := pages.find((parent, TOKENS))) is not None:
        found.append(entry[0])
        parent = entry[1]  # type: ignore[assignment]
    return found


@pytest.mark.parametrize("total", [1, 5, 64])
def test_references_are_counted_and_no_page_is_lost(total: int) -> None:
    rng = random.Random(total)
    pages = PageAllocator(total)
    tables: list[BlockTable] = [[] for _ in range(8)]
    keys = 0
    for _ in range(3000):
        index = rng.randrange(len(tables))
        table = tables[index]
        kind = rng.random()
        if kind < 0.3:
            pages.release(table)
            assert table == []
        elif kind < 0.4 and not table:
            shared = rng.choice(tables)[: rng.randint(0, 3)]
            tables[index] = pages.allocate(shared, 1, keep_free=1) or []
        elif kind < 0.6 and table:
            keys += 1
            pages.cache((None, (keys,)), rng.choice(table))
        elif kind < 0.62:
            pages.uncache(table)
        else:
            count, free, before = rng.choice((0, 1, 1, 2, 3, 7)), pages.num_free, list(table)
            assert pages.extend(table, count) is (count <= free)
            assert table[: len(before)] == before
            assert len(table) == len(before) + (count if count <= free else 0)
        held = Counter(page for one in tables for page in one)
        assert pages.num_free == total - len(held)
        assert set(held) <= set(range(total))
    for table in tables:
        pages.release(table)
    assert pages.num_free == total
    assert sorted(table_of(pages, total)) == list(range(total))


def test_allocation_leaves_as_many_pages_free_as_requested() -> None:
    pages = PageAllocator(4)
    assert pages.allocate([], 3, keep_free=2) is None
    assert pages.num_free == 4
    assert pages.allocate([], 2, keep_free=2) is not None


def test_released_pages_stay_cached_until_they_are_needed() -> None:
    pages = PageAllocator(4)
    chain = cached_chain(pages, None, 3)
    expected = list(chain)
    pages.release(chain)
    assert pages.num_free == 4
    assert find_chain(pages, None) == expected
    again = pages.allocate(find_chain(pages, None), 1)
    assert again is not None
    assert again[:3] == expected
    assert pages.num_free == 0


def test_the_least_recently_used_page_is_evicted_first_from_the_end_of_its_prefix() -> None:
    pages = PageAllocator(6)
    old, new = cached_chain(pages, "old", 3), cached_chain(pages, "new", 3)
    pages.release(old)
    pages.release(new)
    lengths = []
    for _ in range(6):
        lengths.append((len(find_chain(pages, "old")), len(find_chain(pages, "new"))))
        table_of(pages, 1)
    assert lengths == [(3, 3), (2, 3), (1, 3), (0, 3), (0, 2), (0, 1)]


def test_pages_that_are_not_cached_are_allocated_first() -> None:
    pages = PageAllocator(4)
    pages.release(cached_chain(pages, None, 2))
    table_of(pages, 2)
    assert len(find_chain(pages, None)) == 2


def test_a_cached_page_that_is_free_counts_as_taken_when_it_is_shared() -> None:
    pages = PageAllocator(3)
    pages.release(cached_chain(pages, None, 2))
    assert pages.allocate(find_chain(pages, None), 2) is None
    assert pages.num_free == 3


def test_equal_contents_are_cached_once() -> None:
    pages = PageAllocator(4)
    first, second = table_of(pages, 1), table_of(pages, 1)
    content = pages.cache((None, TOKENS), first[0])
    assert pages.cache((None, TOKENS), second[0]) == content
    assert pages.find((None, TOKENS)) == (first[0], content)


def test_salts_and_predecessors_are_part_of_a_page_s_key() -> None:
    pages = PageAllocator(8)
    cached_chain(pages, "a", 2)
    assert find_chain(pages, "b") == find_chain(pages, None) == []
    assert pages.find((7, TOKENS)) is None


def test_pages_after_an_uncached_page_no_longer_match() -> None:
    """The content of a page is given a new id, because its successors were computed from the old
    one."""
    pages = PageAllocator(8)
    chain = cached_chain(pages, None, 3)
    pages.uncache(chain[:1])
    assert find_chain(pages, None) == []
    cached_chain(pages, None, 1)
    assert len(find_chain(pages, None)) == 1
