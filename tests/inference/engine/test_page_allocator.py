"""The page allocator against a reference model of ownership."""

import random

import pytest

from sizeup_inference.engine.page_allocator import BlockTable, PageAllocator


@pytest.mark.parametrize("total", [1, 5, 64])
def test_no_page_is_shared_or_lost(total: int) -> None:
    rng = random.Random(total)
    pages = PageAllocator(total)
    tables: list[BlockTable] = [[] for _ in range(8)]
    for _ in range(2000):
        table = rng.choice(tables)
        if rng.random() < 0.3:
            pages.release(table)
            assert table == []
        else:
            before, count, free = list(table), rng.choice((0, 1, 1, 2, 3, 7)), pages.num_free
            assert pages.extend(table, count) is (count <= free)
            assert len(table) == len(before) + (count if count <= free else 0)
            assert table[: len(before)] == before
        held = [page for table in tables for page in table]
        assert len(held) == len(set(held)) == total - pages.num_free
        assert set(held) <= set(range(total))
    for table in tables:
        pages.release(table)
    assert pages.num_free == total
