"""Lines of a compare, as the gateway streams them."""

from collections.abc import Sequence
from typing import Any

Line = dict[str, Any]

AT = "2026-01-01T00:00:00Z"
SIZES = ("toy:0.5m", "toy:2m", "toy:5m")


def header(*models: str, samples: int = 1, one_at_a_time: bool = False) -> Line:
    compare = {
        "id": "cmp-1",
        "models": [
            {"model": model, "parameters": 10**6 * (index + 1), "state": "ready"}
            for index, model in enumerate(models)
        ],
        "samples": samples,
        "seed": 123,
        "one_at_a_time": one_at_a_time,
    }
    return {"created_at": AT, "done": False, "compare": compare}


def status(model: str, name: str, sample: int = 0, **fields: Any) -> Line:
    return {**_head(model, sample), "status": name, "done": False, **fields}


def text(model: str, content: str, sample: int = 0, **message: str) -> Line:
    body = {"role": "assistant", "content": content, **message}
    return {**_head(model, sample), "message": body, "tokens": 1, "done": False}


def finish(model: str, answer: str, sample: int = 0, reason: str = "stop", **figures: Any) -> Line:
    return {
        **_head(model, sample),
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": reason,
        "eval_count": 5,
        "text": answer,
        "figures": {
            "queue_seconds": 0.0,
            "load_seconds": 0.0,
            "ttft_seconds": 0.08,
            "prefill_seconds": 0.07,
            "decode_seconds": 0.4,
            "total_seconds": 0.5,
            "prompt_tokens": 12,
            "cached_tokens": 0,
            "tokens": 5,
            "tokens_per_second": 41.2,
            "at_once": 3,
            "cost": None,
            **figures,
        },
    }


def failure(model: str, message: str, came_before: str = "", sample: int = 0) -> Line:
    return {
        **_head(model, sample),
        "done": True,
        "done_reason": "error",
        "failure": {"code": "not_ready", "message": message},
        "text": came_before,
    }


def last(largest: str | None = None, smallest: str | None = None) -> Line:
    agreement = {"largest": largest, "smallest": smallest, "same": [smallest, largest]}
    compare = {
        "id": "cmp-1",
        "answered": 3,
        "failed": 0,
        "cancelled": 0,
        "seconds": 3.2,
        "agreement": agreement if largest else None,
    }
    return {"created_at": AT, "done": True, "compare": compare}


def answered(models: Sequence[str] = SIZES, answer: str = "It is 42.") -> list[Line]:
    """Return a compare of which every size gives the same answer."""
    statuses = [status(model, name) for name in ("queued", "generating") for model in models]
    pieces = [text(model, piece) for piece in ("It is", " 42.") for model in models]
    ends = [finish(model, answer) for model in models]
    return [header(*models), *statuses, *pieces, *ends, last(models[-1], models[0])]


def _head(model: str, sample: int) -> Line:
    return {"model": model, "sample": sample, "created_at": AT}


COLD = [
    header(*SIZES),
    status("toy:0.5m", "queued"),
    status("toy:2m", "unloaded"),
    status("toy:5m", "downloading", progress=0.25),
    text("toy:0.5m", "42"),
    finish("toy:0.5m", "42"),
    status("toy:2m", "loading", progress=0.5),
    status("toy:5m", "downloading", progress=0.75),
    status("toy:2m", "queued"),
    text("toy:2m", "42"),
    finish("toy:2m", "42", load_seconds=2.0),
    status("toy:5m", "loading", progress=0.9),
    status("toy:5m", "queued"),
    text("toy:5m", "It is 42."),
    finish("toy:5m", "It is 42.", load_seconds=8.0),
    last("toy:5m", "toy:5m"),
]
"""Two sizes start; one of them is downloaded first."""

DEAD = [
    header(*SIZES),
    status("toy:0.5m", "busy"),
    status("toy:2m", "queued"),
    text("toy:2m", "Let me"),
    failure("toy:5m", "model 'toy:5m' has failed,\nsee its log"),
    failure("toy:2m", "the replica exited", "Let me"),
    status("toy:0.5m", "queued"),
    finish("toy:0.5m", "42", reason="length"),
    last(),
]
"""One size is busy at first, one is dead, one dies while it generates."""

CANCELLED = [
    header("toy:0.5m", "toy:2m"),
    text("toy:0.5m", "4"),
    finish("toy:0.5m", "4", reason="cancelled"),
    finish("toy:2m", "42"),
    last("toy:2m", "toy:2m"),
]

HOSTILE = "\x1b[2J\x1b]0;title\x07[red]not markup[/red]\x9b31m\r\u202eovertaken"
"""Clears the screen, sets the title, colors, overwrites the line, reverses the rest of it."""
HOSTILE_SHOWN = "[2J]0;title[red]not markup[/red]31movertaken"
