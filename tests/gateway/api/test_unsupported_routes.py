"""Routes that return 501 with a reason."""

import json

import httpx

from gateway.fake_inference import FakeInference
from gateway.harness import background_gateway


def test_each_returns_501_and_names_its_path() -> None:
    routes = [
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/messages"),
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions/{id}"),
        ("POST", "/v1/chat/completions/{id}"),
        ("DELETE", "/v1/chat/completions/{id}"),
        ("GET", "/v1/chat/completions/{id}/messages"),
    ]
    with background_gateway(FakeInference) as url, httpx.Client(base_url=url) as client:
        for method, path in routes:
            url = path.replace("{id}", "chatcmpl-1")
            response = client.request(method, url, content=b'{"model": "x"}')
            assert response.status_code == 501, path
            error = json.loads(response.text)["error"]
            text = error["message"] if path.startswith("/v1") else error
            assert text.startswith(f"{path}: ")
