"""The page as the gateway serves it: to browsers only, without a key, cached by its tag."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers

from gateway.fake_inference import FakeInference
from gateway.harness import background_gateway
from sizeup_gateway.page.routes import accepts_html, page_router

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PATHS = [str(getattr(route, "path", "")) for route in page_router().routes]
ASSETS = [path for path in PATHS if path != "/"]


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with (
        background_gateway(FakeInference) as url,
        httpx.Client(base_url=url, headers={"Accept": "*/*"}) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("accept", "wants_page"),
    [
        (BROWSER["Accept"], True),
        ("text/html", True),
        ("TEXT/HTML ; charset=utf-8", True),
        ("*/*", False),
        ("text/*", False),
        ("", False),
        ("application/json, */*;q=0.5", False),
        ("text/html;q=0, */*", False),
        ("text/html;q=0.1", True),
        ("text/htmlx", False),
    ],
)
def test_only_browsers_name_html(accept: str, wants_page: bool) -> None:
    assert accepts_html(Headers({"accept": accept})) is wants_page


def test_a_browser_gets_the_page_and_a_client_the_heartbeat(http: httpx.Client) -> None:
    for headers in ({}, {"Accept": "application/json"}, {"User-Agent": "ollama-python/0.6"}):
        plain = http.get("/", headers=headers)
        assert (plain.status_code, plain.text) == (200, "Ollama is running")
    page = http.get("/", headers=BROWSER)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<!doctype html>" in page.text
    assert "Accept" in page.headers["Vary"]
    head = http.head("/", headers=BROWSER)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Type"] == page.headers["Content-Type"]
    assert http.head("/").headers["Content-Type"].startswith("text/plain")


def test_the_page_names_its_assets_only_and_relatively(http: httpx.Client) -> None:
    page = http.get("/", headers=BROWSER).text
    linked = {
        part.partition('"')[0] for part in page.replace('src="', 'href="').split('href="')[1:]
    }
    assert linked <= {path.removeprefix("/") for path in ASSETS}
    assert "<style" not in page
    assert "style=" not in page
    assert page.count("<script") == page.count("<script ")


@pytest.mark.parametrize("path", PATHS)
def test_every_file_is_safe_and_cached_by_its_tag(http: httpx.Client, path: str) -> None:
    found = http.get(path, headers=BROWSER | {"Accept-Encoding": "identity"})
    assert found.status_code == 200
    policy = found.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'"):
        assert part in policy.split("; ")
    assert "unsafe" not in policy
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert found.headers["Referrer-Policy"] == "no-referrer"
    assert "camera=()" in found.headers["Permissions-Policy"]
    assert found.headers["Cache-Control"] == "no-cache"
    tag = found.headers["ETag"]
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = http.get(path, headers=BROWSER | {"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    assert http.get(path, headers=BROWSER | {"If-None-Match": '"other"'}).status_code == 200
    small = http.get(path, headers=BROWSER | {"Accept-Encoding": "gzip"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.content == found.content


def test_the_bundle_is_small() -> None:
    static = Path(__file__).parents[3] / "services/gateway/sizeup_gateway/page/static"
    first = [static / name for name in ("index.html", "theme.js", "app.js", "app.css")]
    assert sum(len(gzip.compress(file.read_bytes())) for file in first) < 64_000


@pytest.mark.parametrize(
    "path", ["/page/", "/page/nothing.js", "/page/../app.py", "/page/%2e%2e/app.py"]
)
def test_nothing_else_is_served(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 404


def test_a_key_is_needed_for_everything_but_the_page_and_the_heartbeat(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("secret", encoding="utf-8")
    with background_gateway(FakeInference, api_keys_file=keys) as url:
        for path in PATHS:
            assert httpx.get(url + path, headers=BROWSER).status_code == 200
            assert httpx.head(url + path, headers=BROWSER).status_code == 200
        assert httpx.post(url, headers=BROWSER).status_code == 401
        assert httpx.get(f"{url}/api/tags", headers=BROWSER).status_code == 401
        assert httpx.get(f"{url}/docs", headers=BROWSER).status_code == 401
        assert httpx.get(url).text == "Ollama is running"


def test_other_methods_of_the_page_are_those_of_the_heartbeat(http: httpx.Client) -> None:
    response = http.post("/", headers=BROWSER)
    assert response.status_code == 405
    assert sorted(response.headers["Allow"].split(", ")) == ["GET", "HEAD"]
