"""Numbers as text: three significant digits and a unit."""

import math
import re

NONE = "–"
"""Stands for a missing value."""

_Units = tuple[tuple[float, str], ...]
_SECONDS: _Units = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES: _Units = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_COUNTS: _Units = ((1e9, "B"), (1e6, "M"), (1e3, "k"))


def number(value: float) -> str:
    """Format three significant digits, with thousands separators."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{round(value, places):,.{places}f}"


def tick(value: float) -> str:
    """Format a round value, as on an axis, without trailing zeros."""
    return f"{value:,.10g}"


def _unit(value: float, units: _Units) -> tuple[float, str]:
    """Return the largest unit that leaves a value of 1 or more, else the smallest unit."""
    return next((unit for unit in units if abs(value) >= unit[0] * 0.9995), units[-1])


def _scaled(value: float, units: _Units) -> str:
    size, unit = _unit(value, units)
    return f"{number(value / size)} {unit}"


def seconds(value: float) -> str:
    """Format a duration: 184 ms, 1.24 s, 3.5 min."""
    return "0 s" if value == 0 else _scaled(value, _SECONDS)


def seconds_tick(value: float) -> str:
    size, unit = _unit(value, _SECONDS)
    return "0" if value == 0 else f"{tick(value / size)} {unit}"


def size_of(value: float) -> str:
    """Format bytes with decimal prefixes."""
    return _scaled(value, _BYTES)


def parameters(value: float) -> str:
    """Format a parameter count: 494 M, 7.62 B."""
    return _scaled(value, _COUNTS)


def percent(value: float) -> str:
    """Format a fraction as whole percents, with one decimal below 10 % and above 99.5 %."""
    near_end = 0 < value < 0.0995 or 0.995 <= value < 1
    return f"{value * 100:.{1 if near_end else 0}f} %"


def whole_percent(value: float) -> str:
    return f"{value * 100:.0f} %"


def dollars(value: float) -> str:
    """Format money; amounts below ten cents get two significant digits."""
    if value == 0:
        return "$0"
    if value >= 0.1:
        return f"${value:,.2f}"
    return f"${value:.2g}" if value >= 1e-4 else f"${value:.1e}"


def dollars_tick(value: float) -> str:
    return f"${tick(value)}"


def milliseconds(value: float) -> str:
    """Format seconds as milliseconds whatever their size, for values compared in that unit."""
    return f"{number(value * 1e3)} ms"


def times(value: float) -> str:
    return f"{number(value)} ×"


def load(mode: str, level: float) -> str:
    """Format a load: 1 user, 8 users, 2.5 requests/s."""
    unit = "requests/s" if mode == "open" else "user" if level == 1 else "users"
    return f"{tick(level)} {unit}"


def stage(mode: str, level: float, length: str, words: int | None = None) -> str:
    """Format a stage: 8 users, fixed length, 1500 words."""
    ends = "fixed length" if length == "fixed" else "until EOS"
    return ", ".join((load(mode, level), ends, *([] if words is None else [f"{words} words"])))


def stage_key(key: str) -> str:
    """Format the key of a stage: closed-8-fixed-in1500 or capacity-closed-8; others as they are."""
    searched = re.fullmatch(r"capacity-(closed|open)-([\d.]+)", key)
    if searched is not None:
        return f"capacity search, {load(searched[1], float(searched[2]))}"
    found = re.fullmatch(r"(closed|open)-([\d.]+)-(fixed|until_eos)(?:-in(\d+))?", key)
    if found is None:
        return key
    mode, level, length, words = found.groups()
    return stage(mode, float(level), length, None if words is None else int(words))


def clock(value: float) -> str:
    """Format a duration in whole units: 45 s, 3 min, 1 h 20 min."""
    if value < 100:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
