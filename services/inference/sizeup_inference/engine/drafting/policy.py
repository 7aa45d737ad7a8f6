"""How many tokens to draft: as many as pay, by what steps have taken. Pure: seconds are arguments.

A step over n sequences, of which d are drafted with k tokens each, is modelled as

    seconds = plain(n) + row(n) * d * k + k * draft(d)

`plain` is the duration without drafts and `row` that of one more row of the large model, by batch
size; `draft` is that of one forward pass of the draft model. Drafting gives 1 + a + ... + a^k
tokens, where a is the share of draft tokens that are accepted. The k with the most tokens a second
is used; 0 where none gains enough. Now and then the other choice is measured, at a bounded cost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sizeup_inference.engine.scheduling.least_squares import LeastSquares

MAX_DRAFT_TOKENS = 4
"""At an acceptance of 0.8 the fifth one would be accepted in a third of the steps."""

_MIN_GAIN = 1.1
"""Tokens a second over those of plain steps: durations of a busy machine are not better known."""

_TRIAL_SHARE = 0.02
"""Of the time, for steps of the other kind than that which pays."""

_TRIAL_TOKENS = 2
"""Draft tokens of a trial: with one, the time of its row is lost in noise."""

_PAID_BACK = 64
"""Steps in which drafting makes up for what the draft model computes before."""

_PRIOR = (3.0, 4.0)
"""Accepted of tried draft tokens, assumed at first: optimistic, so that drafting is measured."""

_MEMORY = 0.98
"""Weight of a tried draft token in the next one's share: it follows some 50 tokens."""

_WEIGHT = 0.1
"""Of a new duration in its average, once there are ten."""

_LONGEST = 1.5
"""Times the expected duration, as which a longer step counts: something else interrupted it."""


@dataclass(frozen=True, slots=True)
class Load:
    """The sequences of a step."""

    sequences: int
    draftable: int
    missing: int
    """Tokens that the draft model has yet to compute before it drafts for all of them."""
    decodes: int
    """Sequences with one token; a step of these alone is measured."""
    unfinished: int
    """Sequences that will decode together with those of the step once all prompts are computed."""

    @property
    def is_measured(self) -> bool:
        """Whether the step holds no prefill."""
        return self.sequences == self.decodes

    def when_decoding(self) -> "Load":
        """Return the load of the steps after the prompts: what is computed now is for these."""
        count = max(self.sequences, self.unfinished)
        draftable = count * self.draftable // self.sequences
        return replace(self, sequences=count, draftable=draftable, decodes=count)


@dataclass(slots=True)
class _Average:
    """A moving average, of equal weights at first."""

    value: float = 0.0
    _count: int = 0

    def add(self, value: float) -> None:
        self._count += 1
        self.value += max(_WEIGHT, 1 / self._count) * (value - self.value)


@dataclass(slots=True)
class DraftPolicy:
    """The model of a step's duration and of acceptance."""

    maximum: int = MAX_DRAFT_TOKENS
    _plain: dict[int, _Average] = field(default_factory=dict)
    """By the bit length of the batch size, like _row."""
    _row: dict[int, _Average] = field(default_factory=dict)
    _draft: LeastSquares = field(default_factory=LeastSquares)
    """Of 1 and the rows of a forward pass."""
    _accepted: float = _PRIOR[0]
    _tried: float = _PRIOR[1]
    _credit: float = 0.0
    """Seconds that trials may take."""
    _drafted_steps: int = 0
    """Since the last plain one."""
    _is_trial: bool = False

    def tokens(self, load: Load) -> int:
        """Return the draft tokens of each sequence in a step; 0: the draft model is not run."""
        self._is_trial = False
        if not load.draftable:
            return 0
        later = load if load.is_measured else load.when_decoding()
        plain = _nearest(self._plain, later.sequences)
        if plain is None:
            return 0 if load.decodes else self.maximum
        rates = {k: self._rate(later, plain, k) for k in range(1, self.maximum + 1)}
        best = max(rates, key=rates.__getitem__)
        gain = rates[best] * plain / later.sequences
        if gain >= _MIN_GAIN:
            is_due = load.is_measured and self._drafted_steps * _TRIAL_SHARE >= 1 - 1 / gain
            return 0 if is_due else best
        trial = min(_TRIAL_TOKENS, self.maximum)
        cost = self._cost(load, trial) + self._late(load)
        self._is_trial = load.is_measured and self._credit >= cost
        return trial if self._is_trial else 0

    def observe_draft(self, rows: int, seconds: float) -> None:
        features = (1.0, float(rows))
        if self._draft.count:
            seconds = min(seconds, _LONGEST * self._draft.predict(features))
        self._draft.add(features, seconds)

    def observe_tokens(self, tried: int, accepted: int) -> None:
        """Learn from one sequence: tokens after the first rejected one are not tried."""
        keep = _MEMORY**tried
        self._tried = keep * self._tried + tried
        self._accepted = keep * self._accepted + accepted

    def observe(self, load: Load, draft_tokens: int, seconds: float, draft_seconds: float) -> None:
        """Learn from a step that succeeded, with its draft tokens over all sequences.

        `seconds` are those of the large model and of sampling, `draft_seconds` of the draft model.
        """
        if not load.is_measured:
            return
        bucket = load.sequences.bit_length()
        if not (draft_tokens or draft_seconds):
            self._drafted_steps = 0
            self._credit += _TRIAL_SHARE * seconds
            average = self._plain.setdefault(bucket, _Average(seconds))
            average.add(min(seconds, _LONGEST * average.value))
            return
        plain = self._plain.get(bucket)
        if plain is None:
            return
        if self._is_trial:
            self._credit -= max(0.0, seconds + draft_seconds - plain.value)
        if draft_tokens:
            self._drafted_steps += 1
            row = self._row.setdefault(bucket, _Average())
            expected = plain.value + max(0.0, row.value) * draft_tokens
            row.add((min(seconds, _LONGEST * expected) - plain.value) / draft_tokens)

    def _rate(self, load: Load, plain: float, k: int) -> float:
        """Return the predicted tokens a second."""
        share = self._accepted / self._tried
        tokens = load.sequences + load.draftable * sum(share**i for i in range(1, k + 1))
        late = self._late(load) / _PAID_BACK
        return tokens / (plain + self._cost(load, k) + late)

    def _cost(self, load: Load, k: int) -> float:
        """Return the predicted seconds of a step beyond those of a plain one."""
        row = max(0.0, _nearest(self._row, load.sequences) or 0.0)
        draft = self._draft.predict((1.0, float(load.draftable)))
        return row * load.draftable * k + draft * k

    def _late(self, load: Load) -> float:
        """Return the predicted seconds for the tokens that the draft model lacks."""
        return self._draft.predict((0.0, float(load.missing)))


def _nearest(averages: Mapping[int, _Average], sequences: int) -> float | None:
    """Return the average for about this batch size; None before the first one."""
    if not averages:
        return None
    bucket = sequences.bit_length()
    return averages[min(averages, key=lambda known: abs(known - bucket))].value
