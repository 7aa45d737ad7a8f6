"""Request bodies -> the plan of a comparison."""

import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from sizeup_gateway.api.compare.schema import MAX_ANSWERS, MAX_MODELS, CompareFields
from sizeup_gateway.comparison.updates import Answer, Plan
from sizeup_gateway.errors import InvalidRequestError, ModelNotFoundError
from sizeup_gateway.models.catalog import Model, Models
from sizeup_gateway.models.families import by_size, family
from sizeup_gateway.models.selection import select
from sizeup_wire.generate import ChatPrompt, GenerateRequest

_MAX_CHARACTERS = 64 * 2**20
"""Of the messages of all answers in sum, each of which is sent to a replica."""

MessageT = TypeVar("MessageT")

_SEED_MASK = 2**63 - 1
_DRAWN_SEEDS = 2**31
"""Drawn seeds fit the integers of every client."""


def chosen_models(body: CompareFields, models: Models) -> Sequence[Model]:
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
        return found
    named = [select(models, name).model for name in body.models or ()]
    for i, model in enumerate(named):
        if model in named[:i]:
            message = f"models.{i} is the same model as another"
            raise InvalidRequestError(message, f"models.{i}")
    return by_size(named)


def named(chosen: Sequence[Model], names: Iterable[str], models: Models) -> Mapping[str, Model]:
    """Return the chosen models by their keys and by these names, which must be theirs."""
    found = {model.key: model for model in chosen}
    for name in names:
        model = select(models, name).model
        if model not in chosen:
            raise InvalidRequestError(f"history: {name!r} is not in the comparison", "history")
        found[name] = model
    return found


def make_plan(
    body: CompareFields,
    models: Sequence[Model],
    to_wire: Callable[[Model], GenerateRequest],
    cache_salt: str | None,
) -> Plan:
    """Plan every answer: the same request to all models, with a seed for each sample."""
    samples = body.samples or 1
    if len(models) * samples > MAX_ANSWERS:
        message = f"{len(models)} models with {samples} samples are more than {MAX_ANSWERS} answers"
        raise InvalidRequestError(message, "samples")
    wires = {model.key: to_wire(model) for model in models}
    characters = samples * sum(_characters(wire) for wire in wires.values())
    if characters > _MAX_CHARACTERS:
        message = f"the prompts of all answers have {characters} characters in sum: too many"
        raise InvalidRequestError(message, "messages")
    given = next(iter(wires.values())).seed
    seed = random.randrange(_DRAWN_SEEDS) if given is None else given
    answers = [
        Answer(
            model,
            model.listed_name,
            sample,
            wires[model.key].model_copy(
                update={"seed": (seed + sample) & _SEED_MASK, "cache_salt": cache_salt, "n": 1}
            ),
        )
        for model in models
        for sample in range(samples)
    ]
    return Plan(f"cmp-{uuid.uuid4().hex}", answers, samples, seed, bool(body.one_at_a_time))


def conversations(
    body: CompareFields,
    messages: Sequence[MessageT] | None,
    history: Mapping[str, Sequence[MessageT]] | None,
    models: Mapping[str, Model],
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
    return {m.key: [*system, *own.get(m.key, ()), *common] for m in models.values()}


def _characters(wire: GenerateRequest) -> int:
    messages = wire.prompt.messages if isinstance(wire.prompt, ChatPrompt) else ()
    return sum(len(message.content) + len(message.thinking or "") for message in messages)
