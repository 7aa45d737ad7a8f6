"""Wire fields, and errors of inference, in the names that the client used. Pure."""

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


def dialect_field(wire_field: str, names: Mapping[str, str], prompt_field: str) -> str:
    """Map a wire field, which may be dotted, to a field of the request.

    `names` has those that differ, by their whole name or by its first part; what makes the prompt
    is `prompt_field`, and the parts of `sampling` are fields of their own.
    """
    root, _, rest = wire_field.partition(".")
    if wire_field in names or root in names:
        return names[wire_field if wire_field in names else root]
    if root == "prompt":
        return prompt_field
    return rest if root == "sampling" and rest else wire_field
