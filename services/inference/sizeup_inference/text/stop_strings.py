"""Stop strings, matched over the pieces in which text arrives. Pure."""

from collections.abc import Sequence


def _failure_table(pattern: str) -> tuple[int, ...]:
    """Knuth-Morris-Pratt: at i, the longest proper border of pattern[: i + 1]."""
    table = [0] * len(pattern)
    length = 0
    for i in range(1, len(pattern)):
        while length and pattern[i] != pattern[length]:
            length = table[length - 1]
        length += pattern[i] == pattern[length]
        table[i] = length
    return tuple(table)


class StopStrings:
    """Compiled stop strings; shared by the choices of a request."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Compile; linear in the total length."""
        unique = dict.fromkeys(patterns)
        self.automata = tuple((pattern, _failure_table(pattern)) for pattern in unique)


class StopMatcher:
    """Hold back text that may begin a stop string, and cut the text where one is complete."""

    def __init__(self, stops: StopStrings) -> None:
        """Begin at the start of a choice."""
        self._automata = stops.automata
        self._lengths = [0] * len(stops.automata)
        self._held = ""
        self.matched = False
        """True once a stop string was complete; nothing more comes out."""

    def feed(self, text: str) -> str:
        """Return the text that no stop string can claim any more."""
        if not self._automata:
            return text
        for i, char in enumerate(text):
            complete = self._advance(char)
            if complete:
                before = self._held + text[: i + 1]
                self._held, self.matched = "", True
                return before[: len(before) - complete]
        buffer = self._held + text
        keep = len(buffer) - max(self._lengths)
        self._held = buffer[keep:]
        return buffer[:keep]

    def flush(self) -> str:
        """Return what was held back, at the end of a choice."""
        held, self._held = self._held, ""
        return held

    def _advance(self, char: str) -> int:
        """Take one character; return the length of the longest stop string it completes, or 0."""
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
