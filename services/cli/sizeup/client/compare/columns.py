"""The live screen of a compare: a column per size, as a function of the state and the time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from sizeup.client.compare import timeline, words
from sizeup.client.compare.state import Answer, Comparison
from sizeup.client.compare.timeline import Phase
from sizeup.client.terminal_text import one_line, printable

_MIN_WIDTH = 28
"""Of a column: a name, and `123.4 tokens/s, TTFT 0.08 s`."""
_SEPARATOR = " | "
_FULL_HEIGHT = 5
"""Lines of a column with a line each for name, state and bar, and two of the answer."""
_ANCHOR = 1024
"""Characters. Wrapping starts at a multiple of this, so that the lines above the last one stay as
they are while an answer grows."""
_STATE_STYLES = {"done": "green", "token limit": "green", "failed": "red", "cancelled": "yellow"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How many columns of which size."""

    columns: int
    rows: int
    """As many as fit."""
    width: int
    height: int
    gap: int
    """Empty lines between rows."""


def layout(sizes: int, width: int, height: int) -> Layout:
    """Fit the columns into an area; each has at least _MIN_WIDTH characters if the area has."""
    columns = (width + len(_SEPARATOR)) // (_MIN_WIDTH + len(_SEPARATOR))
    columns = max(1, min(sizes, columns))
    rows = max(1, -(-sizes // columns))
    gap = 1 if height - (rows - 1) >= rows * _FULL_HEIGHT else 0
    return Layout(
        columns=columns,
        rows=min(rows, max(1, height)),
        width=(width - (columns - 1) * len(_SEPARATOR)) // columns,
        height=max(1, (height - gap * (rows - 1)) // rows),
        gap=gap,
    )


@dataclass(frozen=True, slots=True)
class Screen:
    """Fills the console: the prompt, the columns, the legend of the bars."""

    comparison: Comparison
    prompt: str
    at: float
    """Seconds since the request."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        yield from _Painter(self, console, options).lines(options.max_width, height)


class _Painter:
    """One frame."""

    def __init__(self, screen: Screen, console: Console, options: ConsoleOptions) -> None:
        self._screen = screen
        self._console = console
        self._encoding = options.encoding
        self._blocks = timeline.ASCII_BLOCKS if options.ascii_only else timeline.BLOCKS
        self._ascii = options.ascii_only
        self._scale = timeline.scale_of(screen.comparison, screen.at)

    def lines(self, width: int, height: int) -> Iterator[Text]:
        sizes = self._screen.comparison.sizes()
        grid = layout(len(sizes), width, height - 2)
        yield self._ends(one_line(self._screen.prompt), words.seconds(self._screen.at), width)
        for row in range(grid.rows):
            if row:
                yield from [Text("")] * grid.gap
            yield from self._row(sizes[row * grid.columns : (row + 1) * grid.columns], grid)
        yield self._legend(len(sizes) - grid.rows * grid.columns, width)

    def _row(self, sizes: Sequence[Sequence[Answer]], grid: Layout) -> Iterator[Text]:
        cells = [self._cell(samples, grid.width, grid.height) for samples in sizes]
        for parts in zip(*cells, strict=True):
            line = Text(no_wrap=True)
            for index, part in enumerate(parts):
                line.append(_SEPARATOR if index else "", "dim")
                line.append_text(part)
            yield line

    def _cell(self, samples: Sequence[Answer], width: int, height: int) -> list[Text]:
        outcome, state = _outcome(samples), self._state(samples)
        bar = timeline.bar(samples, self._screen.at, self._scale, width, self._blocks)
        if height < _FULL_HEIGHT:
            short = Text(f"{one_line(samples[0].model)}: ", _STATE_STYLES.get(outcome, ""))
            short.append(f"{outcome}, " if outcome not in ("", state.plain) else "")
            head = [short.append_text(state), bar][:height]
        else:
            head = [self._name(samples, outcome, width), state, bar]
        body = self._body(samples, width, height - len(head))
        blank = [Text("")] * (height - len(head) - len(body))
        return [self._fitted(line, width) for line in (*head, *body, *blank)]

    def _name(self, samples: Sequence[Answer], outcome: str, width: int) -> Text:
        elapsed = words.seconds(_elapsed(samples, self._screen.at))
        line = self._ends(one_line(samples[0].model), f"{outcome} {elapsed}".strip(), width)
        line.stylize("bold " + _STATE_STYLES.get(outcome, ""))
        return line

    def _state(self, samples: Sequence[Answer]) -> Text:
        running = [answer for answer in samples if answer.ended is None]
        shown = (running or samples)[0]
        ended = len(samples) - len(running)
        count = f"{ended} of {len(samples)}: " if len(samples) > 1 else ""
        return Text(count + words.state(shown))

    def _body(self, samples: Sequence[Answer], width: int, height: int) -> list[Text]:
        """Return the last lines of the answers that fit."""
        if height <= 0:
            return []
        lines: list[Text] = []
        for answer in reversed(samples):  # the last ones fill the column
            number = f"#{answer.sample + 1} " if len(samples) > 1 else ""
            lines = [*self._answer(answer, number, width, height), *lines]
            if len(lines) >= height:
                break
        return lines[-height:]

    def _answer(self, answer: Answer, number: str, width: int, height: int) -> list[Text]:
        shown = answer.text.rstrip() or answer.thinking.rstrip()
        style = "" if answer.text.strip() else "dim"
        text = Text.assemble(
            (number, "bold"), (self._drawable(_tail(shown, width * height)), style)
        )
        if answer.fault is not None:
            fault = self._drawable(one_line(answer.fault))
            text.append(f"{chr(10) if shown else ''}{fault}", "red")
        if not text.plain:
            return []
        return list(text.wrap(self._console, width, overflow="fold", tab_size=4))

    def _ends(self, left: str, right: str, width: int) -> Text:
        """Return a line with text at both ends; the left end is cut."""
        line = self._fitted(Text(left), max(1, width - len(right) - 1))
        line.append(" " + right)
        return self._fitted(line, width)

    def _legend(self, hidden: int, width: int) -> Text:
        loading, prefill, decode = (
            self._blocks[phase] for phase in (Phase.LOADING, Phase.PREFILL, Phase.DECODE)
        )
        legend = f"{hidden} sizes do not fit  " if hidden > 0 else ""
        legend += (
            f"{loading} loading, queue  {prefill} prefill  {decode} decode  "
            f"whole bar: {self._scale:g} s  Ctrl-C stops"
        )
        return self._fitted(Text(legend, style="dim"), width)

    def _fitted(self, line: Text, width: int) -> Text:
        line = line.copy()
        line.no_wrap = True
        line.plain = self._drawable(line.plain.replace("\n", " "))
        line.truncate(width, overflow="crop" if self._ascii else "ellipsis", pad=True)
        return line

    def _drawable(self, text: str) -> str:
        """Escape what the encoding of the terminal lacks before the text is measured."""
        return printable(text).encode(self._encoding, "backslashreplace").decode(self._encoding)


def _outcome(samples: Sequence[Answer]) -> str:
    """Return how a size ended; empty while it runs."""
    outcomes = {words.outcome(answer) for answer in samples}
    if "" in outcomes:
        return ""
    answered = sum(answer.answered for answer in samples)
    return outcomes.pop() if len(outcomes) == 1 else f"{answered} of {len(samples)} answered"


def _elapsed(samples: Sequence[Answer], at: float) -> float | None:
    """Return the seconds from the first turn of a size to its last answer, as far as known."""
    if len(samples) == 1 and (total := words.total_seconds(samples[0])) is not None:
        return total
    begins = [answer.begun for answer in samples if answer.begun is not None]
    ends = [at if answer.ended is None else answer.ended for answer in samples]
    return max(0.0, max(ends) - min(begins)) if begins else None


def _tail(text: str, characters: int) -> str:
    """Return at least this many of the last characters."""
    start = max(0, len(text) - characters) // _ANCHOR * _ANCHOR
    return text[start:]
