"""Allocation of KV pool pages and the index of cached ones. Pure: the tensors are in kv_pool.py.

A page holds the keys and values of `page_size` consecutive tokens, in every layer. A sequence's
pages, in token order, are its block table. A full page may be in the block tables of several
sequences with the same prefix; it is never written again.
"""

from itertools import count

BlockTable = list[int]

PageKey = tuple[int | str | None, tuple[int, ...]]
"""The content of a full page: the id of the content before it, and its tokens. The first page of a
sequence has the cache salt in place of an id.

A dict compares whole keys, so a match is exact. A hash in its place would have to be cryptographic,
because clients choose the tokens, and sha256 takes longer than comparing 16 integers.
"""


class PageAllocator:
    """Reference-counted pages with a prefix cache, evicted least recently used first (vLLM's).

    A cached page without references counts as free. It stays in the index until it is allocated
    again. The last page of a prefix is evicted first: a block table with a page holds the pages
    before it as well, and is released from its end.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._references = [0] * total
        self._blank = list(range(total - 1, -1, -1))
        """Free pages outside the index; the last one is allocated first."""
        self._evictable: dict[int, None] = {}
        """Free pages in the index; the first one is evicted first."""
        self._index: dict[PageKey, int] = {}
        self._keys: dict[int, PageKey] = {}
        """Page -> its key in the index."""
        self._ids: dict[int, int] = {}
        """Page -> the id of its content. Unlike pages, ids are never reused: the key of a page
        whose predecessor left the index matches nothing."""
        self._next_id = count()

    @property
    def num_free(self) -> int:
        """Pages that no block table holds, cached ones included."""
        return len(self._blank) + len(self._evictable)

    def find(self, key: PageKey) -> tuple[int, int] | None:
        """Return the cached page of a key and the id of its content."""
        page = self._index.get(key)
        return None if page is None else (page, self._ids[page])

    def allocate(self, cached: BlockTable, count: int, *, keep_free: int = 0) -> BlockTable | None:
        """Return a block table of cached pages and `count` new ones.

        None, and no change, where fewer than `keep_free` pages would be left.
        """
        taken = count + sum(page in self._evictable for page in cached)
        if taken + keep_free > self.num_free:
            return None
        for page in cached:
            self._evictable.pop(page, None)
            self._references[page] += 1
        return cached + [self._take() for _ in range(count)]

    def extend(self, table: BlockTable, count: int) -> bool:
        """Append `count` new pages to a block table; False, and no change, if too few are free."""
        added = self.allocate([], count)
        table.extend(added or ())
        return added is not None

    def release(self, table: BlockTable, *, keep: int = 0) -> None:
        """Drop the references of a block table after its first `keep` pages, and remove them."""
        for page in reversed(table[keep:]):
            self._references[page] -= 1
            if not self._references[page]:
                self._free(page)
        del table[keep:]

    def cache(self, key: PageKey, page: int) -> int:
        """Enter a full, computed page into the index and return the id of its content.

        Where the index has another page with this content, that one stays.
        """
        cached = self._index.setdefault(key, page)
        if cached == page and page not in self._keys:
            self._keys[page], self._ids[page] = key, next(self._next_id)
        return self._ids[cached]

    def uncache(self, table: BlockTable) -> None:
        """Remove the pages of a block table from the index: their content may be wrong."""
        for page in table:
            self._forget(page)

    def _take(self) -> int:
        if self._blank:
            page = self._blank.pop()
        else:
            page = next(iter(self._evictable))
            del self._evictable[page]
            self._forget(page)
        self._references[page] = 1
        return page

    def _free(self, page: int) -> None:
        if page in self._keys:
            self._evictable[page] = None
        else:
            self._blank.append(page)

    def _forget(self, page: int) -> None:
        if page in self._keys:
            del self._index[self._keys.pop(page)], self._ids[page]
