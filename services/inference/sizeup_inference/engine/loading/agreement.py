"""What the ranks of a model decide together while they load it."""

from collections.abc import Sequence
from datetime import timedelta

import torch.distributed as dist
from transformers import PreTrainedModel

from sizeup_inference.engine.loading.model_shape import ranks_of

_SLOWEST_LOAD = timedelta(hours=2)
"""As in transformers: weights may take tens of minutes, and ranks differ."""

_SLOWEST_TRIAL = timedelta(minutes=5)
"""A trial takes seconds, recording graphs a minute. A rank that fails within one leaves the others
in a collective: then loading ends with an error."""


def smallest(model: PreTrainedModel, number: int) -> int:
    """Return the smallest number of any rank."""
    return min(int(text) for text in _exchange(model, str(number), _SLOWEST_LOAD))


def first_reason(model: PreTrainedModel, reason: str | None) -> str | None:
    """Return why the first rank with a reason against something is against it."""
    reasons = _exchange(model, reason or "", _SLOWEST_TRIAL)
    return next((text for text in reasons if text), None)


def _exchange(model: PreTrainedModel, text: str, slowest: timedelta) -> Sequence[str]:
    """Return the text of every rank, by rank. Each has to call this, in the same order.

    Not a collective, which has no deadline that ends it on a GPU. Raises torch's DistStoreError.
    """
    ranks = ranks_of(model)
    if ranks == 1:
        return (text,)
    store, rank = dist.distributed_c10d._get_default_store(), dist.get_rank()
    turn = store.add(f"sizeup/turns/{rank}", 1)
    store.set(f"sizeup/{turn}/{rank}", text)
    keys = [f"sizeup/{turn}/{of_rank}" for of_rank in range(ranks)]
    store.wait(keys, slowest)
    return [store.get(key).decode() for key in keys]
