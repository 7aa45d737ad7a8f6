"""Access control by API key, Host and Origin."""

import asyncio
import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from gateway.fake_inference import fake_inference
from gateway.harness import MODEL, catalog, running_gateway, settings
from sizeup_gateway.app import create_app
from sizeup_gateway.middleware.access import is_same_origin, origin_regex
from sizeup_telemetry.drain import Drain

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": MODEL, "messages": MESSAGES, "stream": False}
PROBES = ("/", "/livez", "/readyz", "/health")
DOCS = [("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/swagger-ui.css")]
LIST_PATHS = ("/api/tags", "/v1/models")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text("first-key\n\n  second-key  \n", encoding="utf-8")
    return file


def every_path() -> list[tuple[str, str]]:
    app = create_app(settings(), catalog(), CollectorRegistry(), Drain())
    routes = [route for route in app.routes if isinstance(route, Route)]
    return [
        (method, route.path.replace("{model:path}", MODEL))
        for route in routes
        for method in route.methods or ()
    ]


def test_every_route_but_health_requires_a_key(keys: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, api_keys_file=keys) as gateway,
        ):
            for method, path in [*every_path(), *DOCS, ("GET", "/nothing")]:
                async with gateway.http.request(method, gateway.url + path) as response:
                    if path in PROBES or path.startswith("/page/"):
                        assert response.status == 200
                        continue
                    assert response.status == 401, (method, path)
                    assert response.headers["WWW-Authenticate"] == "Bearer"
                    if method != "HEAD":
                        error = json.loads(await response.text())["error"]
                        assert isinstance(error, dict) == path.startswith("/v1")
        assert fake.requests == []

    asyncio.run(scenario())


@pytest.mark.parametrize("drains", [False, True])
@pytest.mark.parametrize(
    "request_line",
    ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "GET / HTTP/1.0", "HEAD / HTTP/1.0", "GET // HTTP/1.1"],
)
@pytest.mark.parametrize(
    "header", ["Host: 10.1.2.3:11434", "Host: 10.1.2.3:11434\r\nX-Api-Key: wrong"]
)
def test_a_load_balancer_checks_the_health_without_a_key(
    request_line: str, header: str, drains: bool, keys: Path
) -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, api_keys_file=keys, host="0.0.0.0") as gateway,
        ):
            if drains:
                gateway.drain.begin()
            host, port = gateway.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"{request_line}\r\n{header}\r\nConnection: close\r\n\r\n".encode())
            response = await reader.read()
            writer.close()
            assert b" 200 OK\r\n" in response[:20]
            assert response.endswith(b"Ollama is running") == request_line.startswith("GET")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer first-key"}, 200),
        ({"Authorization": "bearer second-key"}, 200),
        ({"X-Api-Key": "second-key"}, 200),
        ({"Authorization": "Bearer other"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Basic first-key"}, 401),
        ({"Authorization": "first-key"}, 401),
        ({"Authorization": "Bearer ' OR 1=1"}, 401),
        ({"X-Api-Key": ""}, 401),
    ],
)
def test_a_key_is_accepted_in_either_header(
    keys: Path, headers: dict[str, str], status: int
) -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, api_keys_file=keys) as gateway,
        ):
            for path in LIST_PATHS:
                assert (await gateway.get(path, **headers))[0] == status

    asyncio.run(scenario())


def test_a_key_never_reaches_inference_or_a_response(
    keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> str:
        async with (
            fake_inference() as fake,
            running_gateway(fake, api_keys_file=keys) as gateway,
        ):
            header = {"Authorization": "Bearer first-key"}
            _, _, one = await gateway.post("/api/chat", CHAT, **header)
            _, _, two = await gateway.post("/v1/chat/completions", {"model": "x"}, **header)
            return one + two + "".join(r.model_dump_json() for r in fake.requests)

    with caplog.at_level("DEBUG"):
        assert "first-key" not in asyncio.run(scenario())
    assert "first-key" not in caplog.text


def test_each_key_has_a_cache_salt_of_its_own(keys: Path) -> None:
    async def salts(file: Path | None) -> list[str | None]:
        async with fake_inference() as fake, running_gateway(fake, api_keys_file=file) as gateway:
            for key in ("first-key", "second-key", "first-key"):
                for path in ("/api/chat", "/v1/chat/completions", "/v1/responses", "/v1/messages"):
                    body = CHAT | {"input": "hi", "max_tokens": 9}
                    assert (await gateway.post(path, body, **{"X-Api-Key": key}))[0] == 200
                for path in ("/api/generate", "/v1/completions"):
                    body = {"model": MODEL, "prompt": "hi", "stream": False}
                    assert (await gateway.post(path, body, **{"X-Api-Key": key}))[0] == 200
            return [request.cache_salt for request in fake.requests]

    assert set(asyncio.run(salts(None))) == {None}
    first, second, again = (asyncio.run(salts(keys))[i : i + 6] for i in (0, 6, 12))
    assert first == again
    assert len({*first}) == len({*second}) == 1
    assert first != second
    assert None not in (first[0], second[0])


def test_a_file_without_keys_is_a_configuration_error(tmp_path: Path) -> None:
    empty = tmp_path / "keys"
    empty.write_text("\n \n", encoding="utf-8")
    with pytest.raises(ValueError, match="contains no API key"):
        create_app(settings(api_keys_file=empty), catalog(), CollectorRegistry(), Drain())


@pytest.mark.parametrize(("mode", "modes"), [(0o644, ["0644"]), (0o440, [])])
def test_keys_that_others_can_read_are_logged(
    keys: Path, mode: int, modes: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    keys.chmod(mode)
    create_app(settings(api_keys_file=keys), catalog(), CollectorRegistry(), Drain())
    exposed = [vars(r) for r in caplog.records if r.message == "secret_file.exposed"]
    assert [fields["mode"] for fields in exposed] == modes


@pytest.mark.parametrize(("bound_to", "status"), [("127.0.0.1", 403), ("0.0.0.0", 200)])
def test_a_foreign_host_is_rejected_only_on_a_loopback_address(bound_to: str, status: int) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake, host=bound_to) as gateway:
            for path in LIST_PATHS:
                got, body = await gateway.get(path, Host="evil.example")
                assert got == status
                assert ("error" in body) == (status == 403)

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["box", "box.lan", "BOX.lan:11434"])
def test_the_hosts_own_names_are_local(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Box")
    monkeypatch.setattr(socket, "getfqdn", lambda: "box.lan")

    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            assert (await gateway.get("/api/tags", Host=name))[0] == 200
            for other in ("box.evil.example", "box2", "evil.example"):
                assert (await gateway.get("/api/tags", Host=other))[0] == 403

    asyncio.run(scenario())


ORIGINS = [
    ("http://localhost:3000", True),
    ("https://127.0.0.1", True),
    ("http://0.0.0.0:8080", True),
    ("http://[::1]:5173", True),
    ("https://chat.localhost", True),
    ("http://tauri.localhost", True),
    ("tauri://localhost", True),
    ("file://", True),
    ("app://obsidian.md", True),
    ("vscode-webview://abc", True),
    ("vscode-file://vscode-app", True),
    ("chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn", True),
    ("moz-extension://c5ff8a4b-3a09-4c1d-8a1c-7c2d5b3a8a11", True),
    ("safari-web-extension://8D3A5E6B", True),
    ("http://evil.example", False),
    ("http://localhost.evil.example", False),
    ("http://evil-localhost", False),
    ("http://localhost:3000.evil.example", False),
    ("https://chrome-extension.example", False),
    ("null", False),
]


def preflight(origin: str) -> Mapping[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": ", ".join(REQUEST_HEADERS),
        "Access-Control-Request-Private-Network": "true",
    }


REQUEST_HEADERS = (
    "accept", "anthropic-beta", "anthropic-version", "authorization", "content-type",
    "openai-beta", "user-agent", "x-api-key", "x-requested-with", "x-stainless-arch",
    "x-stainless-lang", "x-stainless-os", "x-stainless-package-version",
    "x-stainless-retry-count", "x-stainless-runtime", "x-stainless-runtime-version",
    "x-stainless-timeout",
)  # fmt: skip
"""Of OpenAI's and Anthropic's clients in browsers."""


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
def test_pages_of_allowed_origins_may_send_requests(origin: str, allowed: bool) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            status, headers, _ = await gateway.post("/api/chat", CHAT, Origin=origin)
            assert status == (200 if allowed else 403)
            assert len(fake.requests) == allowed
            assert headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)
            url = gateway.url + "/v1/chat/completions"
            async with gateway.http.options(url, headers=preflight(origin)) as response:
                granted = response.headers
                assert response.status == (200 if allowed else 403)
                assert granted.get("Access-Control-Allow-Origin") == (origin if allowed else None)
                assert "Access-Control-Allow-Credentials" not in granted
                if allowed:
                    names = granted["Access-Control-Allow-Headers"].split(", ")
                    assert set(REQUEST_HEADERS) <= set(names)
                    assert granted["Access-Control-Allow-Private-Network"] == "true"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("setting", "origin", "allowed"),
    [
        ("https://chat.example", "https://chat.example", True),
        ("https://chat.example", "https://Chat.example", True),
        ("https://chat.example", "https://chat.example:8443", False),
        ("https://chat.example", "https://chatXexample", False),
        ("https://a.example, https://*.b.example:*", "https://x.y.b.example:81", True),
        ("https://a.example, https://*.b.example:*", "https://b.example.evil:81", False),
        ("chrome-extension://*", "chrome-extension://abc", True),
        ("*", "https://any.example", True),
        ("*", "null", True),
        ("", "https://any.example", False),
        ("https://chat.example", "http://localhost", True),
    ],
)
def test_further_origins_are_a_setting(setting: str, origin: str, allowed: bool) -> None:
    assert (re.fullmatch(origin_regex(setting), origin) is not None) is allowed


def test_configured_origins_are_allowed() -> None:
    async def scenario() -> None:
        origins = "https://chat.example,https://*.apps.example"
        async with fake_inference() as fake, running_gateway(fake, origins=origins) as gateway:
            for origin in ("https://chat.example", "https://one.apps.example"):
                status, headers, _ = await gateway.post("/api/chat", CHAT, Origin=origin)
                assert (status, headers["Access-Control-Allow-Origin"]) == (200, origin)
            assert (await gateway.post("/api/chat", CHAT, Origin="https://x.example"))[0] == 403

    asyncio.run(scenario())


@pytest.mark.parametrize("origin", ["chat.example", "https://chat.example/", "https://*/chat"])
def test_what_is_no_origin_is_a_configuration_error(origin: str) -> None:
    with pytest.raises(ValueError, match=re.escape(origin)):
        create_app(settings(origins=origin), catalog(), CollectorRegistry(), Drain())


@pytest.mark.parametrize("path", LIST_PATHS)
def test_a_foreign_origin_is_rejected_in_the_shape_of_the_dialect(path: str) -> None:
    async def scenario() -> None:
        async with fake_inference() as fake, running_gateway(fake) as gateway:
            status, body = await gateway.get(path, Origin="http://evil.example")
            assert status == 403
            assert isinstance(body["error"], dict) == path.startswith("/v1")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("origin", "host", "known"),
    [
        ("http://localhost:3000", "localhost:11434", False),
        ("https://Chat.example", "chat.example", True),
        ("http://chat.example:8080", "chat.example:8080", True),
        ("http://chat.example:8080", "chat.example", False),
        ("http://evil.example", "chat.example", False),
        ("ftp://chat.example", "chat.example", False),
        ("http://", "", False),
        ("null", "null", False),
        ("", "", False),
    ],
)
def test_the_same_origin_is_recognised(origin: str, host: str, known: bool) -> None:
    assert is_same_origin(origin, host) is known


def test_an_error_has_cors_headers_for_local_pages(keys: Path) -> None:
    async def scenario() -> None:
        async with (
            fake_inference() as fake,
            running_gateway(fake, api_keys_file=keys) as gateway,
        ):
            origin = "http://localhost:3000"
            for headers, expected in (({}, 401), ({"Host": "evil.example"}, 403)):
                status, got, _ = await gateway.post("/api/chat", CHAT, Origin=origin, **headers)
                assert status == expected
                assert got["Access-Control-Allow-Origin"] == origin

    asyncio.run(scenario())
