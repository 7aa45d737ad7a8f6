"""Incremental matching of stop strings. Pure."""

from collections.abc import Sequence


def _failure_table(pattern: str) -> tuple[int, ...]:
    """Knuth-Morris-Pratt: at i, the length of the longest proper border of pattern[: i + 1]."""
    table = [0] * len(pattern)
    length = 0
    for i in range(1, len(pattern)):
        while length and pattern[i] != pattern[length]:
            length = table[length - 1]
        length += pattern[i] == pattern[length]
        table[i] = length
    return tuple(table)


class StopStrings:
    """Compiled stop strings, shared by the choices of a request. Linear in the total length."""

    def __init__(self, patterns: Sequence[str]) -> None:
        unique = dict.fromkeys(patterns)
        self.automata = tuple((pattern, _failure_table(pattern)) for pattern in unique)


class StopMatcher:
    """Holds back text that may start a stop string, and cuts the text at a match."""

    def __init__(self, stops: StopStrings) -> None:
        self._automata = stops.automata
        self._lengths = [0] * len(stops.automata)
        self._held = ""
        self.match: str | None = None
        """The stop string that has matched, after which there is no more text."""

    def feed(self, text: str) -> str:
        """Add text and return what cannot be part of a stop string."""
        if not self._automata:
            return text
        for i, char in enumerate(text):
            complete = self._advance(char)
            if complete:
                before = self._held + text[: i + 1]
                end = len(before) - complete
                self._held, self.match = "", before[end:]
                return before[:end]
        buffer = self._held + text
        keep = len(buffer) - max(self._lengths)
        self._held = buffer[keep:]
        return buffer[:keep]

    def flush(self) -> str:
        """Return the text held back at the end of a choice."""
        held, self._held = self._held, ""
        return held

    def _advance(self, char: str) -> int:
        """Add one character; return the length of the longest stop string it completes, or 0."""
        complete = 0
        for i, (pattern, table) in enumerate(self._automata):
            length = self._lengths[i]
            while length and pattern[length] != char:
                length = table[length - 1]
            length += pattern[length] == char
            self._lengths[i] = length
            if length == len(pattern):
                complete = max(complete, length)
        return complete
