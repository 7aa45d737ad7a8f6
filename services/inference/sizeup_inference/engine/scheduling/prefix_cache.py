"""Reuse of computed pages between sequences with a common prefix. Pure.

Only full pages are shared, and the last token of a sequence is always computed, because its logits
are needed. A page is entered after the step that computed it, so that a failed step enters none.
Sequences that arrive together therefore wait for the first of them: it leads, the others follow.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sizeup_inference.engine.scheduling.page_allocator import BlockTable, PageAllocator, PageKey
from sizeup_inference.engine.scheduling.sequence import Lead, SequenceState

ComputingPages = dict[PageKey, SequenceState]
"""The page that each running prefill completes next."""


@dataclass(frozen=True, slots=True)
class Match:
    """The longest cached prefix of a sequence, in whole pages."""

    pages: BlockTable
    ids: list[int]
    """Ids of the pages' contents."""


class PrefixCache:
    """Finds and enters the pages of sequences."""

    def __init__(self, pages: PageAllocator, page_size: int, *, enabled: bool) -> None:
        """Where it is not enabled, nothing matches, because nothing is entered."""
        self._pages = pages
        self._page_size = page_size
        self._enabled = enabled
        self.queries = 0
        """Tokens of admitted sequences, looked up in the cache."""
        self.hits = 0
        """Of these, the tokens that were found."""

    def match(self, sequence: SequenceState) -> Match:
        match = Match([], [])
        for index in range(self._shareable_pages(sequence)):
            found = self._pages.find(self._key(sequence, index, match.ids))
            if found is None:
                break
            page, content_id = found
            match.pages.append(page)
            match.ids.append(content_id)
        return match

    def enter(self, sequence: SequenceState) -> None:
        """Enter the pages that the latest step has filled."""
        if not self._enabled:
            return
        ids = sequence.page_ids
        for index in range(len(ids), sequence.num_computed // self._page_size):
            key = self._key(sequence, index, ids)
            ids.append(self._pages.cache(key, sequence.block_table[index]))

    def count(self, sequence: SequenceState) -> None:
        """Count the tokens of a sequence admitted for the first time, as vLLM does."""
        if self._enabled and not sequence.needs_every_position:
            self.queries += sequence.num_tokens
            self.hits += sequence.num_computed

    def computing(self, prefilling: Iterable[SequenceState]) -> ComputingPages:
        """Return the page that each prefill completes next."""
        if not self._enabled:
            return {}
        return {
            self._key(sequence, len(sequence.page_ids), sequence.page_ids): sequence
            for sequence in prefilling
            if (len(sequence.page_ids) + 1) * self._page_size <= sequence.num_tokens
        }

    def lead(self, sequence: SequenceState, match: Match, computing: ComputingPages) -> Lead | None:
        """Return the prefill that is computing the page after the match, and how far to follow."""
        first, end = len(match.ids), self._shareable_pages(sequence)
        if first == end or not computing:
            return None
        leader = computing.get(self._key(sequence, first, match.ids))
        if leader is None:
            return None
        end = min(end, leader.num_tokens // self._page_size)
        pages = range(first, end)
        differing = (i for i in pages if self._tokens(sequence, i) != self._tokens(leader, i))
        common = next(differing, end)
        return Lead(leader, common * self._page_size)

    def _shareable_pages(self, sequence: SequenceState) -> int:
        if sequence.needs_every_position:
            return 0
        return (sequence.num_tokens - 1) // self._page_size

    def _key(self, sequence: SequenceState, index: int, ids: list[int]) -> PageKey:
        parent = ids[index - 1] if index else sequence.request.cache_salt
        return parent, self._tokens(sequence, index)

    def _tokens(self, sequence: SequenceState, index: int) -> tuple[int, ...]:
        start = index * self._page_size
        return tuple(sequence.token_ids[start : start + self._page_size])
