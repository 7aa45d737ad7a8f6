"""Whether two results differ by rounding only.

16 bits round the activations of a deep model by 3 % of their norm as a rule, and by 30 % where few
activations are thousands of times as large as the rest (SmolLM2-135M). What the same weights give
in float32 says which it is.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from sizeup_inference.engine.quantization.modules import QuantizedModule

_MORE_NOISE = 1.2
"""How much farther from the exact result than the plain path another one may be: both round, in
another order."""


def error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the difference of two results as a share of the norm of the second."""
    return float((actual - expected).norm() / expected.norm().clamp(min=1e-30))  # of zeros: 0


def is_rounding(
    actual: torch.Tensor, plain: torch.Tensor, exact: torch.Tensor, tolerance: float
) -> bool:
    """Return whether a result is as close to the exact one as the plain path's, or close enough."""
    return error(actual, exact) <= max(tolerance, _MORE_NOISE * error(plain, exact))


@contextmanager
def computed_in_float32(model: torch.nn.Module) -> Iterator[None]:
    """Let a model compute in float32 with the weights that it has, for the duration of the block.

    Each module's weights are converted for each call, so that one matrix at a time takes memory.
    """
    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, QuantizedModule) or any(True for _ in module.parameters(False)):
                stack.enter_context(_converted(module))
        yield


@contextmanager
def _converted(module: torch.nn.Module) -> Iterator[None]:
    parameters = list(module.parameters(recurse=False))
    own = [parameter.data for parameter in parameters]
    dtype = module.dtype if isinstance(module, QuantizedModule) else None

    def convert(_module: torch.nn.Module, _arguments: Any) -> None:
        for parameter in parameters:
            parameter.data = parameter.data.float()
        if isinstance(module, QuantizedModule):
            module.dtype = torch.float32

    def restore(*_: Any) -> None:
        for parameter, data in zip(parameters, own, strict=True):
            parameter.data = data
        if isinstance(module, QuantizedModule) and dtype is not None:
            module.dtype = dtype

    before = module.register_forward_pre_hook(convert)
    after = module.register_forward_hook(restore, always_call=True)
    try:
        yield
    finally:
        before.remove()
        after.remove()
        restore()
