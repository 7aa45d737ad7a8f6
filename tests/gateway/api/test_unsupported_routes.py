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
        ("POST", "/api/embed"),
        ("POST", "/api/embeddings"),
        ("POST", "/v1/embeddings"),
    ]
    with background_gateway(FakeInference) as url, httpx.Client(base_url=url) as client:
        for method, path in routes:
            response = client.request(method, path, content=b'{"model": "x"}')
            assert response.status_code == 501, path
            error = json.loads(response.text)["error"]
            text = error["message"] if path.startswith("/v1") else error
            assert text.startswith(f"{path}: ")
