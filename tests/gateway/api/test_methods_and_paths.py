"""Wrong methods and unknown paths, in the shape of their dialect."""

from collections.abc import Iterator

import httpx
import pytest

from gateway.api.error_shape import assert_shape
from gateway.fake_inference import FakeInference
from gateway.harness import MODEL, background_gateway


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with background_gateway(FakeInference) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield client


ROUTES = {
    "/": ["GET", "HEAD"],
    "/api/version": ["GET", "HEAD"],
    "/api/tags": ["GET", "HEAD"],
    "/api/ps": ["GET", "HEAD"],
    "/api/show": ["POST"],
    "/api/chat": ["POST"],
    "/api/generate": ["POST"],
    "/v1/models": ["GET", "HEAD"],
    f"/v1/models/{MODEL}": ["GET", "HEAD"],
    "/v1/chat/completions": ["GET", "HEAD", "POST"],
    "/v1/chat/completions/x": ["DELETE", "GET", "HEAD", "POST"],
    "/v1/completions": ["POST"],
    "/v1/embeddings": ["POST"],
    "/v1/messages": ["POST"],
    "/v1/messages/count_tokens": ["POST"],
    "/v1/responses": ["POST"],
    "/v1/responses/input_tokens": ["POST"],
    "/v1/responses/x": ["DELETE", "GET", "HEAD"],
    "/api/blobs/sha256:x": ["HEAD", "POST"],
}

OTHER_ROUTES = [("/v1/responses/input_tokens", method) for method in ("GET", "DELETE")]
"""Of a response with this id."""


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "POST", "TRACE", "FROB"])
def test_a_wrong_method_is_a_405_with_allow(http: httpx.Client, path: str, method: str) -> None:
    if method in ROUTES[path] or (path, method) in OTHER_ROUTES:
        return
    response = http.request(method, path)
    assert response.status_code == 405
    assert sorted(response.headers["Allow"].split(", ")) == ROUTES[path]
    assert_shape(path, response)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api",
        "/api/",
        "/api/nothing",
        "/api/chat/x",
        "/api/pulls",
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/models/nothing",
        "/v1/messages/nothing",
        "/redoc",
        "/v1/" + "x" * 5000,
    ],
)
def test_an_unknown_path_is_a_404_in_the_shape_of_its_dialect(
    http: httpx.Client, path: str
) -> None:
    response = http.get(path)
    assert response.status_code == 404
    assert_shape(path, response)
