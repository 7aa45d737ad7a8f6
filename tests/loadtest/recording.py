"""Records with chosen timestamps."""

from dataclasses import replace

from sizeup_loadtest.data.record import Length, Outcome, PlannedRequest, Record

MS = 1_000_000


def record(
    index: int = 0,
    *,
    block: int = 0,
    model: str = "m",
    sent: float = 0,
    late: float = 0,
    first: float = 100,
    gap: float = 10,
    tokens: int = 11,
    chunks: int | None = None,
    tail: float = 5,
    outcome: Outcome = Outcome.OK,
    warm_up: bool = False,
    ramp: bool = False,
    max_tokens: int | None = None,
    length: Length = "fixed",
    stage: str = "closed-1",
) -> Record:
    """Return a request sent at `sent` ms, `late` ms after its schedule; all else is after that."""
    count = tokens if chunks is None else chunks
    sent_ns = round(sent * MS)
    arrived = tuple(sent_ns + round((first + gap * i) * MS) for i in range(count))
    most = tokens if max_tokens is None else max_tokens
    planned = PlannedRequest(index, block, model, f"p{index}", most, length, None, warm_up, ramp)
    return Record(
        stage=stage,
        planned=planned,
        api="openai",
        scheduled_ns=sent_ns - round(late * MS),
        sent_ns=sent_ns,
        ended_ns=(arrived[-1] if arrived else sent_ns) + round(tail * MS),
        chunk_ns=arrived,
        prompt_tokens=7,
        completion_tokens=tokens,
        counted_by="usage",
        outcome=outcome,
        finish_reason="length",
    )


def failed(made: Record, outcome: Outcome) -> Record:
    """Return the same request as a failure."""
    return replace(made, outcome=outcome, completion_tokens=None, counted_by=None)
