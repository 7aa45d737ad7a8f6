"""URLs as users write them, and the server of each model."""

import json
import ssl
from pathlib import Path

import pytest

from sizeup_loadtest.config.file import parse, validate
from sizeup_loadtest.config.schema import Config
from sizeup_loadtest.config.servers import Server, base_url
from sizeup_loadtest.errors import ConfigError
from store.certificates import make_certificate


def read(text: str) -> Config:
    return validate(parse(text, "test"), "test")


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("localhost:11434/v1", "http://localhost:11434"),
        (" http://host/ ", "http://host"),
        ("http://host/api", "http://host"),
        ("http://host/v1/chat/completions", "http://host"),
        ("http://host/api/tags", "http://host"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api"),
        ("http://host:1/prefix/v1//", "http://host:1/prefix"),
        ("[::1]:8000", "http://[::1]:8000"),
        (" ::1", "http://[::1]"),
        ("HTTPS://host", "HTTPS://host"),
    ],
)
def test_a_url_is_accepted_as_it_is_known(text: str, base: str) -> None:
    assert base_url(text) == base


@pytest.mark.parametrize(
    "text",
    [
        *("", "http://", ":11434", "http://:80", "ftp://host", "htp://host", "http://a b"),
        *("http://host:port", "http://host:99999", "http://host:0", "http://user:secret@host"),
        *("http://host?key=secret", "http://host/#v1", "http://" + "a" * 70, "http://[::1"),
    ],
)
def test_another_url_is_rejected_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"http|host|port|URL") as caught:
        base_url(text)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["::1:11434", "http://::1", "fe80::1:11434/v1"])
def test_ipv6_with_a_port_needs_brackets(text: str) -> None:
    with pytest.raises(ValueError, match=r"brackets.*\[::1\]:11434"):
        base_url(text)


SEVERAL = """
target: {url: "http://gateway", headers: {X-Team: a}, extra_body: {top_k: 1}, verify: false}
models:
  - small
  - {name: large, model: Qwen/Qwen2.5-7B, url: "https://vllm/v1", api: openai, api_key_env: KEY,
     headers: {X-Part: b}, extra_body: {top_p: 0.5}, verify: true,
     max_tokens_field: max_completion_tokens}
"""


def test_keys_of_a_model_take_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", " secret\n")
    small, large = read(SEVERAL).servers.values()
    assert (small.url, small.model, small.key, small.verify) == (
        "http://gateway",
        "small",
        None,
        False,
    )
    assert large == Server(
        "https://vllm",
        "Qwen/Qwen2.5-7B",
        key="secret",
        headers={"X-Team": "a", "X-Part": "b"},
        extra_body={"top_k": 1, "top_p": 0.5},
        max_tokens_field="max_completion_tokens",
    )


def test_no_secret_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "secret")
    config = read(SEVERAL.replace("X-Team: a", "X-Team: secret").replace("0.5", "secret"))
    large = config.server("large")
    assert (large.headers["X-Team"], large.extra_body["top_p"]) == ("secret", "secret")
    for text in (config.model_dump_json(), repr(large), str(config.model_dump())):
        assert "secret" not in text
    dumped = Config.model_validate_json(config.model_dump_json())
    assert dumped.models[1].headers.keys() == {"X-Part"}


def test_the_gateways_key_is_sent_to_no_other_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text("secret\n")
    monkeypatch.setenv("SIZEUP_API_KEY_FILE", str(tmp_path / "keys"))
    servers = read("models: [a, {name: b, url: other}]").servers
    assert (servers["a"].key, servers["b"].key) == ("secret", None)


def test_a_key_of_the_environment_is_that_of_servers_without_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text("of-the-gateway\n")
    monkeypatch.setenv("SIZEUP_API_KEY_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("SIZEUP_BENCH_API_KEY", "secret\n")
    monkeypatch.setenv("KEY", "own")
    config = read("models: [a, {name: b, url: '127.0.0.1:1'}, {name: c, api_key_env: KEY}]")
    assert [server.key for server in config.servers.values()] == ["secret", "secret", "own"]
    assert "secret" not in config.model_dump_json() + repr(config.servers)
    monkeypatch.setenv("SIZEUP_BENCH_API_KEY", " ")
    assert config.server("a").key == "of-the-gateway"


@pytest.mark.parametrize(
    ("urls", "keys"),
    [
        (["http://gateway", "https://gateway", "other"], ["secret", None, None]),
        (["https://api.a", "http://b"], [None, None]),
        (["http://b:8000", "http://B:8001"], ["secret", "secret"]),
    ],
)
def test_a_key_of_the_environment_is_of_one_host(
    urls: list[str], keys: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIZEUP_BENCH_API_KEY", "secret")
    models = [{"name": url, "url": url} for url in urls]
    config = read(json.dumps({"target": {"url": "http://gateway"}, "models": models}))
    assert [server.key for server in config.servers.values()] == keys


@pytest.mark.parametrize("key", ["", "schlüssel", "a\tb"])
def test_a_key_that_cannot_be_sent_is_rejected(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", key)
    with pytest.raises(ConfigError, match="KEY"):
        read("models: [{name: a, api_key_env: KEY}]").server("a")


def test_a_ca_file_is_trusted(tmp_path: Path) -> None:
    assert Server("https://a", "m").ssl is True
    assert Server("https://a", "m", verify=False).ssl is False
    (tmp_path / "no.pem").write_text("not a certificate")
    for name in ("no.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=name):
            assert Server("https://a", "m", verify=str(tmp_path / name)).ssl
    _, authority = make_certificate(tmp_path)
    context = Server("https://a", "m", verify=str(authority)).ssl
    assert isinstance(context, ssl.SSLContext)
    assert context is Server("https://b", "n", verify=str(authority)).ssl
