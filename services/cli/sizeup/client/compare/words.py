"""An answer in words: its state, its figures."""

import math

from sizeup.client.compare.fields import Cost
from sizeup.client.compare.state import Answer, Comparison
from sizeup.client.terminal_text import one_line

_STATUS = {
    "": "waiting",
    "waiting": "waiting for its turn",
    "unloaded": "starting",
    "busy": "busy, trying again",
}
"""The others are shown as the gateway calls them."""
_OUTCOMES = {"error": "failed", "cancelled": "cancelled", "length": "token limit"}
_TWO_DECIMALS_BELOW = 10.0


def label(answer: Answer, comparison: Comparison) -> str:
    """Return the size, with the number of the sample if there are several."""
    name = one_line(answer.model)
    return f"{name} #{answer.sample + 1}" if comparison.samples > 1 else name


def outcome(answer: Answer) -> str:
    """Return how an answer ended, in a word; empty while it runs."""
    if answer.ended is None:
        return ""
    return _OUTCOMES.get(answer.reason, "done")


def fault(answer: Answer) -> str:
    if answer.ended is None:
        return "the stream has no end of this answer"
    return "cancelled" if answer.fault is None else one_line(answer.fault)


def state(answer: Answer) -> str:
    """Return the speed once there are tokens, before that the status."""
    if answer.first_token is not None or answer.figures is not None:
        speed, first = tokens_per_second(answer), ttft_seconds(answer)
        rate = "" if speed is None else f"{speed:.1f} tokens/s"
        return ", ".join(filter(None, (rate, "" if first is None else f"TTFT {seconds(first)}")))
    if answer.ended is not None:
        return outcome(answer)
    words = _STATUS.get(answer.status) or one_line(answer.status)
    return words if answer.progress is None else f"{words} {min(answer.progress, 1.0):.0%}"


def ttft_seconds(answer: Answer) -> float | None:
    """Return the gateway's figure, every wait included; before it is known, the time seen here."""
    if answer.figures is not None:
        return answer.figures.ttft_seconds
    if answer.first_token is None:
        return None
    return answer.first_token - (answer.begun or 0.0)


def tokens_per_second(answer: Answer) -> float | None:
    """Return the gateway's figure; before it is known, the rate seen here."""
    if answer.figures is not None:
        return answer.figures.tokens_per_second
    if answer.first_token is None or answer.last_token is None:
        return None
    duration = answer.last_token - answer.first_token
    return (answer.tokens - answer.first_tokens) / duration if duration > 0 else None


def tokens(answer: Answer) -> int:
    known = answer.figures.tokens if answer.figures is not None else None
    return answer.tokens if known is None else known


def total_seconds(answer: Answer) -> float | None:
    """Return the gateway's figure, or how long an answer without figures took here."""
    if answer.figures is not None:
        return answer.figures.total_seconds
    if answer.ended is None or answer.begun is None:
        return None
    return answer.ended - answer.begun


def seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f} s" if value < _TWO_DECIMALS_BELOW else f"{value:.1f} s"


def cost(value: Cost | None) -> str:
    """Return an amount with two significant digits: a single answer costs fractions of a cent."""
    if value is None:
        return ""
    decimals = max(2, 1 - math.floor(math.log10(value.amount))) if value.amount > 0 else 2
    return one_line(f"{value.amount:.{min(decimals, 12)}f} {value.currency}")
