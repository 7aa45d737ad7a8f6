"""Parameter counts: from the server, the config or the name of a model.

Names say their size as "7b", "0.5B" or "135M". "8x7b" counts eight experts of 7b: nominal, since
experts share some layers. "235B-A22B" is the total; "A22B" alone is the active part, not a size.
"""

import re
from dataclasses import dataclass
from typing import Literal

Source = Literal["server", "config", "name"]

# A letter may come before ("command-r7b"), but "-a22b" is the active part of a mixture of experts.
# GGUF files have "0_5b" for 0.5b; elsewhere an underscore separates ("llama_3_8b").
_SIZE = re.compile(
    r"(?<![\d.])(?<![^a-z]a)(?<!^a)(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?|[01]_\d)([bmt])(?![a-z0-9])"
)
_UNIT = {"b": 1e9, "m": 1e6, "t": 1e12}
# "7B-1M" has a context of a million tokens, "1.1B-3T" was trained on three trillion.
_BY_RANK = ("b", "m", "t")


@dataclass(frozen=True, slots=True)
class Size:
    """A parameter count and its source."""

    parameters: int
    source: Source


def size(server: int | None, config: float | None, name: str) -> Size | None:
    """Return the size by the best source there is: the server, else the config, else the name."""
    if server:
        return Size(server, "server")
    if config:
        return Size(round(config), "config")
    named = in_name(name)
    return None if named is None else Size(named, "name")


def in_name(name: str) -> int | None:
    """Return the parameter count in a model's name; None without one.

    The last part of a path decides, else the whole of it.
    """
    text = name.lower()
    found = _found(text.rpartition("/")[2]) or _found(text)
    by_unit = {unit: [count for u, count in found if u == unit] for unit in _BY_RANK}
    return next((max(counts) for counts in by_unit.values() if counts), None)


def _found(text: str) -> list[tuple[str, int]]:
    counts = (
        (unit, round(int(experts or 1) * float(number.replace("_", ".")) * _UNIT[unit]))
        for experts, number, unit in _SIZE.findall(text)
    )
    return [(unit, count) for unit, count in counts if count]
