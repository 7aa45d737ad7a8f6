"""Request bodies -> the plan of a comparison."""

import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from sizeup_gateway.api.compare.schema import MAX_ANSWERS, MAX_MODELS, CompareFields
from sizeup_gateway.comparison.updates import Answer, Plan
from sizeup_gateway.errors import InvalidRequestError, ModelNotFoundError
from sizeup_gateway.models.catalog import Models
from sizeup_gateway.models.families import family, size_order
from sizeup_gateway.models.selection import Selected, select
from sizeup_wire.generate import ChatPrompt, GenerateRequest

_MAX_CHARACTERS = 64 * 2**20
"""Of the messages of all answers in sum, each of which is sent to a replica."""

MessageT = TypeVar("MessageT")

_SEED_MASK = 2**63 - 1
_DRAWN_SEEDS = 2**31
"""Drawn seeds fit the integers of every client."""


def chosen_models(body: CompareFields, models: Models) -> Sequence[Selected]:
    """Return the models of a comparison, ascending by size, or raise GatewayError."""
    if (body.models is None) == (body.family is None):
        raise InvalidRequestError("exactly one of models and family is required", "models")
    if body.family is not None:
        found = family(models.by_key.values(), body.family)
        if not found:
            raise ModelNotFoundError(body.family)
        if len(found) > MAX_MODELS:
            message = f"the family has {len(found)} models, more than {MAX_MODELS}: name them"
            raise InvalidRequestError(message, "family")
        return [Selected(model, model.listed_name) for model in found]
    named = [select(models, name) for name in body.models or ()]
    keys = [one.key for one in named]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            message = f"models.{i} is the same model as another"
            raise InvalidRequestError(message, f"models.{i}")
    return sorted(named, key=lambda one: size_order(one.model))


def named(
    chosen: Sequence[Selected], names: Iterable[str], models: Models
) -> Mapping[str, Selected]:
    """Return the chosen models by their keys and by these names, which must be theirs."""
    by_key = {one.key: one for one in chosen}
    found = dict(by_key)
    for name in names:
        one = by_key.get(select(models, name).key)
        if one is None:
            raise InvalidRequestError(f"history: {name!r} is not in the comparison", "history")
        found[name] = one
    return found


def make_plan(
    body: CompareFields,
    models: Sequence[Selected],
    to_wire: Callable[[Selected], GenerateRequest],
) -> Plan:
    """Plan every answer: the same request to all models, with a seed for each sample."""
    samples = body.samples or 1
    if len(models) * samples > MAX_ANSWERS:
        message = f"{len(models)} models with {samples} samples are more than {MAX_ANSWERS} answers"
        raise InvalidRequestError(message, "samples")
    wires = {one.key: to_wire(one) for one in models}
    characters = samples * sum(_characters(wire) for wire in wires.values())
    if characters > _MAX_CHARACTERS:
        message = f"the prompts of all answers have {characters} characters in sum: too many"
        raise InvalidRequestError(message, "messages")
    given = next(iter(wires.values())).seed
    seed = random.randrange(_DRAWN_SEEDS) if given is None else given
    answers = [
        Answer(
            one.model,
            one.listed_name,
            sample,
            wires[one.key].model_copy(
                update={
                    "seed": (seed + sample) & _SEED_MASK,
                    "n": 1,
                    "stream_tool_calls": False,  # a comparison shows whole calls
                }
            ),
        )
        for one in models
        for sample in range(samples)
    ]
    return Plan(f"cmp-{uuid.uuid4().hex}", answers, samples, seed, bool(body.one_at_a_time))


def conversations(
    body: CompareFields,
    messages: Sequence[MessageT] | None,
    history: Mapping[str, Sequence[MessageT]] | None,
    models: Mapping[str, Selected],
    to_message: Callable[[str, str], MessageT],
) -> Mapping[str, Sequence[MessageT]]:
    """Return the messages for each model, by its key: system, its own history, the common ones.

    `models` are those of the comparison, by the names in `history`; `to_message` makes one of a
    role and a text. Raises InvalidRequestError.
    """
    if bool(messages) == bool(body.prompt):
        raise InvalidRequestError("exactly one of messages and prompt is required", "messages")
    common = list(messages or ()) or [to_message("user", body.prompt or "")]
    system = [to_message("system", body.system)] if body.system else []
    own = {models[name].key: list(turns) for name, turns in (history or {}).items()}
    if len(own) < len(history or {}):
        raise InvalidRequestError("history has two names of one model", "history")
    keys = {one.key for one in models.values()}
    return {key: [*system, *own.get(key, ()), *common] for key in keys}


def _characters(wire: GenerateRequest) -> int:
    messages = wire.prompt.messages if isinstance(wire.prompt, ChatPrompt) else ()
    return sum(len(message.content) + len(message.thinking or "") for message in messages)
