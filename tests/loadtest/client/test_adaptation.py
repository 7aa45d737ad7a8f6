"""Which parameters are dropped for which refusals."""

import pytest

from sizeup_loadtest.client.adaptation import adaptations, without
from sizeup_loadtest.client.error_response import ErrorResponse
from sizeup_loadtest.config.servers import Server
from sizeup_loadtest.data.record import Outcome

SERVER = Server("http://a", "m")


def refused(message: str, parameter: str | None = None, code: int = 400) -> ErrorResponse:
    return ErrorResponse(Outcome.REFUSED, f"HTTP {code}: {message}", parameter)


@pytest.mark.parametrize(
    ("error", "omitted"),
    [
        (refused("Unsupported parameter", "ignore_eos"), "ignore_eos"),
        (refused("Unrecognized request argument supplied: min_tokens"), "min_tokens"),
        (refused("Unrecognized request arguments supplied: seed, min_tokens"), "seed"),
        (refused("'temperature' does not support 0.0 with this model"), "temperature"),
        (refused('[{"loc": ["body", "stream_options"]}]', code=422), "stream_options"),
        (refused("extra fields", "body.ignore_eos"), "ignore_eos"),
    ],
)
def test_a_refused_parameter_is_dropped(error: ErrorResponse, omitted: str) -> None:
    server = without(SERVER, error)
    assert server is not None
    assert server.omitted == {omitted}
    assert omitted not in (without(server, error) or SERVER).omitted - server.omitted
    [adaptation] = adaptations(server)
    assert omitted in adaptation


@pytest.mark.parametrize(
    "error",
    [
        refused("context length exceeded"),
        refused("model not found", "model"),
        refused("ignore_eos", code=404),
        refused("chat_template_kwargs is not allowed"),
    ],
)
def test_any_other_refusal_stands(error: ErrorResponse) -> None:
    assert without(SERVER, error) is None


def test_ollamas_parameters_stand() -> None:
    assert without(Server("http://a", "m", "ollama"), refused("", "temperature")) is None


def test_the_maximum_of_tokens_is_renamed_once() -> None:
    message = "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    renamed = without(SERVER, refused(message))
    assert renamed is not None
    assert renamed.max_tokens_field == "max_completion_tokens"
    assert adaptations(renamed) == (
        "measured with max_completion_tokens: the server refuses max_tokens",
    )
    assert without(renamed, refused("", "max_completion_tokens")) is None
    assert without(renamed, refused("", "max_tokens")) is None


def test_what_has_one_effect_is_one_adaptation() -> None:
    server = SERVER
    for name in ("min_tokens", "ignore_eos"):
        server = without(server, refused("", name)) or server
    assert adaptations(server) == (
        "measured without ignore_eos and min_tokens: output lengths are not fixed",
    )
    assert adaptations(SERVER) == ()
