"""Errors of inference, restated in the names that the client used. Pure."""

from collections.abc import Callable, Mapping

from sizeup_gateway.errors import GatewayError, UnsupportedError, UpstreamError
from sizeup_wire.errors import ErrorCode

_FEATURES: Mapping[str, str] = {
    "prompt.thinking": "thinking",
    "prompt.tools": "tools",
    "prompt.messages": "chat",
    "prompt.text": "generate",
    "prompt.token_ids": "generate",
    "prompt.suffix": "insert",
}
"""By the wire field that requests them; a model made for embeddings lacks chat and generate."""


def to_client_error(
    error: UpstreamError, model: str, to_param: Callable[[str], str]
) -> GatewayError:
    """Restate an error of inference.

    Inference knows the model by its Hugging Face id and fields by their wire names; `model` is the
    name that the client sent, `to_param` maps a wire field to the dialect's own.
    """
    if error.param is None:
        return error
    param = to_param(error.param)
    if error.code is ErrorCode.UNSUPPORTED and error.param in _FEATURES:
        return UnsupportedError(f'"{model}" does not support {_FEATURES[error.param]}', param)
    return UpstreamError(error.code, error.message, param)
