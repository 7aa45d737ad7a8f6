"""The shape of an error in each dialect."""

import httpx


def assert_shape(path: str, response: httpx.Response) -> None:
    """Assert that the body is the error object of the path's dialect."""
    body = response.json()
    if path.startswith("/v1/messages"):
        assert set(body) == {"type", "error", "request_id"}
        assert set(body["error"]) == {"type", "message"}
    elif path.startswith("/v1"):
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert isinstance(body["error"]["message"], str)
        assert isinstance(body["error"]["type"], str)
    else:
        assert set(body) == {"error"}
        assert isinstance(body["error"], str)
        assert body["error"]
