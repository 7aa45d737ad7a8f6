import pytest

from sizeup_gateway.api.openai.translate import chat_param
from sizeup_gateway.api.upstream_errors import to_client_error
from sizeup_gateway.errors import UpstreamError
from sizeup_wire.errors import ErrorCode


@pytest.mark.parametrize(
    ("code", "wire_param", "message", "param"),
    [
        (ErrorCode.UNSUPPORTED, "prompt.tools", '"m" does not support tools', "tools"),
        (
            ErrorCode.UNSUPPORTED,
            "prompt.thinking",
            '"m" does not support thinking',
            "reasoning_effort",
        ),
        (ErrorCode.UNSUPPORTED, "prompt", "original", "messages"),
        (ErrorCode.INVALID_REQUEST, "prompt.tools", "original", "tools"),
        (ErrorCode.INVALID_REQUEST, "sampling.logit_bias", "original", "logit_bias"),
        (ErrorCode.BUSY, None, "original", None),
    ],
)
def test_errors_use_the_names_of_the_client(
    code: ErrorCode, wire_param: str | None, message: str, param: str | None
) -> None:
    upstream = UpstreamError(code, "original", wire_param)
    error = to_client_error(upstream, "m", chat_param)
    assert (error.code, error.message, error.param) == (code, message, param)
