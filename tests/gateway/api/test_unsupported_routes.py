"""Routes that are refused with a reason."""

import json

import httpx
import pytest

from gateway.fake_inference import FakeInference
from gateway.harness import background_gateway

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("status", "routes"),
    [
        (
            501,
            [
                ("POST", "/api/push"),
                ("POST", f"/api/blobs/{DIGEST}"),
                ("GET", "/v1/chat/completions"),
                ("GET", "/v1/chat/completions/chatcmpl-1"),
                ("POST", "/v1/chat/completions/chatcmpl-1"),
                ("DELETE", "/v1/chat/completions/chatcmpl-1"),
                ("GET", "/v1/chat/completions/chatcmpl-1/messages"),
            ],
        ),
        (
            404,
            [
                ("POST", "/api/me"),
                ("POST", "/api/signout"),
                ("DELETE", "/api/user/keys/c3No"),
                ("GET", "/api/status"),
                ("GET", "/api/experimental/aliases"),
                ("POST", "/api/experimental/web_search"),
            ],
        ),
    ],
)
def test_each_is_refused_by_name(status: int, routes: list[tuple[str, str]]) -> None:
    with background_gateway(FakeInference) as url, httpx.Client(base_url=url) as client:
        for method, path in routes:
            response = client.request(method, path, content=b'{"model": "x"}')
            assert response.status_code == status, path
            final = response.headers.get("X-Should-Retry") == "false"
            assert final == (status == 501)
            error = json.loads(response.text)["error"]
            text = error["message"] if path.startswith("/v1") else error
            assert text.startswith("/".join(path.split("/")[:3])), text
