"""The state of a compare, built from the lines of its stream."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sizeup.client.compare.fields import Figures, figures_of, number, text, whole
from sizeup.client.gateway_client import MAX_ANSWERS
from sizeup.errors import InvalidResponseError

Key = tuple[str, int]
"""The model and the number of the sample."""

_WAITING = "waiting"
_QUEUED = "queued"
_MAX_TEXT = 8 << 20
"""Characters of an answer: its last line repeats all of them, and no line may be longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one size. Times are seconds since the request was sent."""

    model: str
    sample: int = 0
    status: str = ""
    """The last status of the gateway; empty before the first one."""
    progress: float | None = None
    """Of a download or of loading, from 0 to 1."""
    text: str = ""
    thinking: str = ""
    tokens: int = 0
    first_tokens: int = 0
    """Tokens of the first piece: their duration is part of the TTFT."""
    begun: float | None = None
    """Its turn came; at once unless one size answers after another."""
    sent: float | None = None
    """A replica was ready for it."""
    first_token: float | None = None
    last_token: float | None = None
    ended: float | None = None
    reason: str = ""
    """stop, length, cancelled or error."""
    fault: str | None = None
    """Why it failed."""
    figures: Figures | None = None

    @property
    def answered(self) -> bool:
        return self.ended is not None and self.reason not in ("cancelled", "error")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Which sizes said the same as the largest that answered."""

    largest: str
    smallest: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every answer, ascending by size."""

    answers: Mapping[Key, Answer] = field(default_factory=dict)
    samples: int = 1
    seed: int | None = None
    agreement: Agreement | None = None
    complete: bool = False
    """The last line has arrived."""

    def sizes(self) -> list[tuple[Answer, ...]]:
        """Return the samples of each size."""
        found: dict[str, list[Answer]] = {}
        for answer in self.answers.values():
            found.setdefault(answer.model, []).append(answer)
        return [tuple(samples) for samples in found.values()]


def apply(comparison: Comparison, line: Mapping[str, Any], at: float) -> Comparison:
    """Return the state after a line of the stream that arrived at this time.

    Fields, statuses and models that are unknown are ignored: a newer gateway may send them.
    """
    header = line.get("compare")
    if isinstance(header, Mapping):
        return _end(comparison, header) if line.get("done") else _begin(header, at)
    if not comparison.answers:
        raise InvalidResponseError("the compare does not begin with its models")
    key = text(line.get("model")), whole(line.get("sample")) or 0
    answer = comparison.answers.get(key)
    if answer is None or answer.ended is not None:
        return comparison
    changed = _finish(answer, line, at) if line.get("done") else _advance(answer, line, at)
    return replace(comparison, answers={**comparison.answers, key: changed})


def from_response(response: Mapping[str, Any]) -> Comparison:
    """Return the state of a compare without streaming; it has no times."""
    header, lines = response.get("compare"), response.get("responses")
    comparison = apply(Comparison(), {"compare": header, "done": False}, 0.0)
    for line in lines if isinstance(lines, list) else ():
        if isinstance(line, Mapping):
            comparison = apply(comparison, {**line, "done": True}, 0.0)
    return apply(comparison, {"compare": header, "done": True}, 0.0)


def _begin(header: Mapping[str, Any], at: float) -> Comparison:
    listed = header.get("models")
    entries = listed if isinstance(listed, list) else ()
    models = [text(entry.get("model")) for entry in entries if isinstance(entry, Mapping)]
    samples = whole(header.get("samples")) or 1
    if not models or len(models) * samples > MAX_ANSWERS:
        raise InvalidResponseError(f"a compare of {len(models)} models and {samples} samples")
    keys = [(model, sample) for model in models for sample in range(samples)]
    seed, begun = header.get("seed"), None if header.get("one_at_a_time") else at
    return Comparison(
        answers={key: Answer(*key, begun=begun) for key in keys},
        samples=samples,
        seed=seed if isinstance(seed, int) else None,
    )


def _end(comparison: Comparison, header: Mapping[str, Any]) -> Comparison:
    found = header.get("agreement")
    agreement = None
    if isinstance(found, Mapping) and found.get("largest") and found.get("smallest"):
        agreement = Agreement(text(found["largest"]), text(found["smallest"]))
    return replace(comparison, agreement=agreement, complete=True)


def _advance(answer: Answer, line: Mapping[str, Any], at: float) -> Answer:
    if status := text(line.get("status")):
        answer = _enter(answer, status, line, at)
    message = line.get("message")
    return _extend(answer, message, line, at) if isinstance(message, Mapping) else answer


def _enter(answer: Answer, status: str, line: Mapping[str, Any], at: float) -> Answer:
    """Return the answer in a status; a failed replica may send it back to an earlier one."""
    begun = at if answer.begun is None and status != _WAITING else answer.begun
    sent = at if status == _QUEUED else answer.sent
    progress = number(line.get("progress"))
    return replace(answer, status=status, progress=progress, begun=begun, sent=sent)


def _extend(
    answer: Answer, message: Mapping[str, Any], line: Mapping[str, Any], at: float
) -> Answer:
    tokens = whole(line.get("tokens")) or 0
    first = answer.first_token is None
    changed = replace(
        answer,
        text=answer.text + text(message.get("content")),
        thinking=answer.thinking + text(message.get("thinking")),
        tokens=answer.tokens + tokens,
        first_tokens=tokens if first else answer.first_tokens,
        begun=at if answer.begun is None else answer.begun,
        first_token=at if first else answer.first_token,
        last_token=at,
    )
    if len(changed.text) + len(changed.thinking) > _MAX_TEXT:
        raise InvalidResponseError(f"an answer of more than {_MAX_TEXT} characters")
    return changed


def _finish(answer: Answer, line: Mapping[str, Any], at: float) -> Answer:
    failure = line.get("failure")
    reason = text(line.get("done_reason")) or ("error" if failure else "stop")
    fault = None
    if failure or reason == "error":
        reason, fault = "error", _words(failure)
    whole_text, thinking = line.get("text"), line.get("thinking")
    return replace(
        answer,
        text=whole_text if isinstance(whole_text, str) else answer.text,
        thinking=thinking if isinstance(thinking, str) else answer.thinking,
        begun=at if answer.begun is None else answer.begun,
        ended=at,
        reason=reason,
        fault=fault,
        figures=figures_of(line.get("figures")),
    )


def _words(failure: object) -> str:
    if isinstance(failure, Mapping):
        return text(failure.get("message")) or text(failure.get("code")) or "failed"
    return text(failure) or "failed"
