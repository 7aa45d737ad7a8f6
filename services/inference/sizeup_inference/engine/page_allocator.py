"""Allocation of KV pool pages to sequences. Pure accounting: the tensors are in kv_pool.py.

A page holds the keys and values of `page_size` consecutive tokens of one sequence, in every layer.
A sequence's pages, in token order, are its block table.
"""

from bisect import insort
from collections import deque
from dataclasses import dataclass
from typing import Protocol

BlockTable = list[int]


@dataclass(frozen=True, slots=True)
class Move:
    """Copy `count` pages from `source` to `target` before the forward pass of the step.

    The two runs never overlap.
    """

    source: int
    target: int
    count: int


class PageAllocator(Protocol):
    """Every method allocates all or nothing."""

    total: int

    @property
    def num_free(self) -> int:
        """Unallocated pages."""

    def allocate(self, count: int) -> BlockTable | None:
        """Return a block table of `count` pages; None when too few are free."""

    def extend(self, table: BlockTable, count: int) -> tuple[Move, ...] | None:
        """Add `count` pages to a block table in place; None, and no change, when too few are free.

        The returned moves must be carried out before the table is used.
        """

    def release(self, table: BlockTable) -> None:
        """Free the pages of a block table and empty it."""


class ScatteredPages:
    """Pages in any order: for attention that reads through a block table."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = deque(range(total))

    @property
    def num_free(self) -> int:
        """Unallocated pages."""
        return len(self._free)

    def allocate(self, count: int) -> BlockTable | None:
        """Return the pages that have been free the longest."""
        if count > len(self._free):
            return None
        return [self._free.popleft() for _ in range(count)]

    def extend(self, table: BlockTable, count: int) -> tuple[Move, ...] | None:
        """Append pages; no page ever moves."""
        added = self.allocate(count)
        if added is None:
            return None
        table.extend(added)
        return ()

    def release(self, table: BlockTable) -> None:
        """Free every page."""
        self._free.extend(table)
        table.clear()


class ContiguousPages:
    """One run of consecutive pages per sequence: its keys and values are views of the pool.

    Free runs are kept sorted and merged. A run that cannot grow in place moves to a free run that
    is long enough; without one, extend fails and the scheduler preempts another sequence. A single
    running sequence that fits the pool always progresses: once preempted, it finds the pool empty.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._runs: list[tuple[int, int]] = [(0, total)] if total else []  # (start, count)

    @property
    def num_free(self) -> int:
        """Unallocated pages over all free runs."""
        return sum(count for _, count in self._runs)

    def allocate(self, count: int) -> BlockTable | None:
        """Return the front of the largest free run, which leaves the most room to grow in place."""
        start, size = max(self._runs, key=lambda run: run[1], default=(0, 0))
        if size < count:
            return None
        self._take_run(start, count)
        return list(range(start, start + count))

    def extend(self, table: BlockTable, count: int) -> tuple[Move, ...] | None:
        """Grow in place where the next pages are free, else move to a run that is long enough."""
        end = table[-1] + 1
        if self._run_length_at(end) >= count:
            self._take_run(end, count)
            table.extend(range(end, end + count))
            return ()
        moved = self.allocate(len(table) + count)
        if moved is None:
            return None
        move = Move(source=table[0], target=moved[0], count=len(table))
        self._free_run(table[0], len(table))
        table[:] = moved
        return (move,)

    def release(self, table: BlockTable) -> None:
        """Free the run."""
        if table:
            self._free_run(table[0], len(table))
        table.clear()

    def _run_length_at(self, start: int) -> int:
        return next((count for first, count in self._runs if first == start), 0)

    def _take_run(self, start: int, count: int) -> None:
        size = self._run_length_at(start)
        self._runs.remove((start, size))
        if size > count:
            insort(self._runs, (start + count, size - count))

    def _free_run(self, start: int, count: int) -> None:
        insort(self._runs, (start, count))
        merged: list[tuple[int, int]] = []
        for run_start, run_count in self._runs:
            if merged and merged[-1][0] + merged[-1][1] == run_start:
                merged[-1] = (merged[-1][0], merged[-1][1] + run_count)
            else:
                merged.append((run_start, run_count))
        self._runs = merged
