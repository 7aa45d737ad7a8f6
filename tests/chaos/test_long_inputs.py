"""Inputs that are larger than the context: answered as they should be, and no stream suffers."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chaos.deployment import MODEL, Deployment, deployed
from hostile_inputs import INPUTS, Input

TOY = Path(__file__).parents[2] / "models" / "toy" / "toy-0.5m"
_SECONDS = 60.0
_TOKENS = 200


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Serve with the tokenizer and the chat template of a real model."""
    settings = {"model": TOY, "model_id": "chaos", "max_model_len": 2048}
    folder = tmp_path_factory.mktemp("long")
    created = {"created_models": folder / "created.json"}
    with deployed(folder, inference=settings, gateway=created) as serving:
        yield serving


def send(deployment: Deployment, one: Input) -> tuple[int, bytes]:
    """Return status and body of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", deployment.gateway.port, timeout=_SECONDS)
    try:
        connection.request("POST", one.path, one.body(MODEL), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def stream(model: str) -> bytes:
    message = {"role": "user", "content": "x" * _TOKENS}
    body = {"model": model, "messages": [message], "stream": True, "max_tokens": _TOKENS}
    return json.dumps(
        body | {"ignore_eos": True, "stream_options": {"include_usage": True}}
    ).encode()


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_larger_than_the_context_is_answered_beside_a_whole_stream(
    toy: Deployment, name: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(send, toy, Input("/v1/chat/completions", stream, 200))
        status, answer = send(toy, INPUTS[name])
        streamed, events = beside.result()
    assert (status, len(answer) < 2**20) == (INPUTS[name].status, True), answer[:300]
    assert isinstance(json.loads(answer), dict)
    assert streamed == 200
    *_, usage, end = (event for event in events.split(b"\n\n") if event)
    assert json.loads(usage.removeprefix(b"data: "))["usage"]["completion_tokens"] == _TOKENS
    assert end == b"data: [DONE]"
