"""Which draft tokens are accepted: those that the large model samples itself.

Each row is sampled as a step without drafts would sample it, after the tokens before it and with
the sequence's own random number. While the result equals the draft token, the next row was computed
after the right tokens and gives one token more. So drafts change neither the distribution of the
output nor a seeded output. The draft model uses the same random numbers, which makes it agree more
often than its most likely tokens would (drafter-invariant speculative decoding: Daliri et al.,
"Coupling without Communication and Drafter-Invariant Speculative Decoding", 2024).
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from sizeup_inference.engine.model_runner import StepOutput
from sizeup_inference.engine.scheduling.sequence import SequenceState


def after_accepted(output: StepOutput) -> Iterator[StepOutput]:
    """Yield the later rounds, each reduced to the sequences whose draft token was sampled before.

    The caller appends the tokens of a round, the first one being `output` itself, before it takes
    the next.
    """
    drafts = output.drafts
    for later in output.later:
        accepted = {s for s, token in drafts.items() if _ends_with(s, token)}
        if not accepted:
            return
        yield _only(later, accepted)
        drafts = {s: later.drafts[s] for s in accepted if s in later.drafts}


def _ends_with(sequence: SequenceState, token: int) -> bool:
    """Whether a sequence still runs, for which it needs pages, and has just sampled this token."""
    return bool(sequence.block_table) and sequence.token_ids[-1] == token


def _only(output: StepOutput, sequences: Collection[SequenceState]) -> StepOutput:
    rows = [i for i, s in enumerate(output.sampled) if s in sequences]
    return replace(
        output,
        best={s: token for s, token in output.best.items() if s in sequences},
        sampled=tuple(output.sampled[i] for i in rows),
        logits=output.logits if len(rows) == len(output.sampled) else output.logits[rows],
    )
