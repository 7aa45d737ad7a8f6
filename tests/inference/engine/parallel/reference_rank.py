"""A rank for tests, which computes with the paged forward pass where rank 0 does."""

from transformers import PreTrainedModel

from inference.engine.forwards.reference_device import ReferenceDevice
from sizeup_inference.engine.loading.make_forward import (
    ForwardOptions,
    LoadedForward,
    load_forward,
)
from sizeup_inference.engine.loading.make_paged import find_cuda
from sizeup_inference.engine.loading.weights import LoadOptions
from sizeup_inference.engine.parallel import shard
from sizeup_inference.engine.parallel.rank import main

PAGE_SIZE = 16


def find_reference(_model: PreTrainedModel) -> ReferenceDevice:
    return ReferenceDevice(PAGE_SIZE)


def is_paged(options: ForwardOptions) -> bool:
    """Ranks do not use the compiled decoder, so that this option is free for tests."""
    return options.compiled


def load(load: LoadOptions, options: ForwardOptions) -> LoadedForward:
    return load_forward(load, options, find_reference if is_paged(options) else find_cuda)


if __name__ == "__main__":
    shard.load_forward = load  # type: ignore[attr-defined, assignment]
    main()
