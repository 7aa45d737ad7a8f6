"""A rank with a fault, which the environment names; run in place of the engine's own."""

import os
import signal
from collections.abc import Callable

from sizeup_inference.engine.forward import Batch, Forwarded
from sizeup_inference.engine.forwards.transformers_forward import TransformersForward
from sizeup_inference.engine.loading.make_forward import (
    ForwardOptions,
    LoadedForward,
    load_forward,
)
from sizeup_inference.engine.loading.weights import LoadOptions
from sizeup_inference.engine.parallel import shard
from sizeup_inference.engine.parallel.rank import main


def killed(_load: LoadOptions, _options: ForwardOptions) -> LoadedForward:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def failing_step(load: LoadOptions, options: ForwardOptions) -> LoadedForward:
    """Load a forward pass that raises in the sixth step."""
    run, steps = TransformersForward.run, 0

    def fail(self: TransformersForward, batch: Batch) -> Forwarded:
        nonlocal steps
        steps += 1
        if steps > 5:
            raise RuntimeError("injected failure")
        return run(self, batch)

    TransformersForward.run = fail  # type: ignore[method-assign]
    return load_forward(load, options)


FAULTS: dict[str, Callable[[LoadOptions, ForwardOptions], LoadedForward]] = {
    "killed": killed,
    "failing_step": failing_step,
}

if __name__ == "__main__":
    shard.load_forward = FAULTS[os.environ["FAULT"]]  # type: ignore[attr-defined, assignment]
    main()
