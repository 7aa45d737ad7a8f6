"""Records of responses to items of the ladder."""

from sizeup_loadtest.ability.item import Item
from sizeup_loadtest.data.record import Outcome, PlannedRequest, Record


def answered(item: Item, text: str, outcome: Outcome = Outcome.OK) -> Record:
    """Return the record of an item's request with this output."""
    planned = PlannedRequest(0, 0, "m", item.key, 64, "until_eos", None)
    tokens = len(text.split()) if text else None
    return Record(
        stage="ability",
        planned=planned,
        api="openai",
        scheduled_ns=0,
        sent_ns=0,
        ended_ns=1_000_000,
        chunk_ns=(500_000,) if text else (),
        prompt_tokens=5,
        completion_tokens=tokens,
        counted_by=None if tokens is None else "usage",
        outcome=outcome,
        text=text,
    )
