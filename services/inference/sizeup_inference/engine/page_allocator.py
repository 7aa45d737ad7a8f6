"""Allocation of KV pool pages to sequences. Pure accounting: the tensors are in kv_pool.py.

A page holds the keys and values of `page_size` consecutive tokens of one sequence, in every layer.
A sequence's pages, in token order, are its block table.
"""

from collections import deque

BlockTable = list[int]


class PageAllocator:
    """Free pages, in the order in which they were released."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = deque(range(total))

    @property
    def num_free(self) -> int:
        """Unallocated pages."""
        return len(self._free)

    def extend(self, table: BlockTable, count: int) -> bool:
        """Append `count` pages to a block table; False, and no change, when too few are free."""
        if count > len(self._free):
            return False
        table.extend(self._free.popleft() for _ in range(count))
        return True

    def release(self, table: BlockTable) -> None:
        """Free the pages of a block table and empty it."""
        self._free.extend(table)
        table.clear()
