"""Proxies, certificates, tokens, and unreachable hubs."""

import hashlib
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub_server import COMMIT, WEIGHTS, HubServer, Mode, running_hub
from sizeup_store.errors import (
    HubRefusedError,
    HubResponseError,
    HubUnreachableError,
    InvalidOptionError,
)
from sizeup_store.hub import HubOptions
from sizeup_store.markers import marker_path
from store.certificates import make_certificate
from store.forward_proxy import running_proxy
from store.pulling import (
    DEADLINE_SECONDS,
    MAIN,
    RecordingReport,
    is_loadable,
    pull_command,
    run_pull,
)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_proxy_of_the_environment_is_used(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)
    assert len(proxy.requests) == len(hub.seen)
    assert any(request.startswith(f"GET {hub.store_url}/lfs/") for request in proxy.requests)


def test_https_goes_through_the_proxy_as_a_tunnel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, ca_file = make_certificate(tmp_path)
    with running_proxy() as proxy, running_hub(tls=tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
        run_pull(server, tmp_path / "cache", ca_file=ca_file, token="hf_secret")
    assert {request.split()[0] for request in proxy.requests} == {"CONNECT"}


def test_no_proxy_takes_hosts_out(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.org,127.0.0.1")
        run_pull(hub, tmp_path)
    assert proxy.requests == []


def test_all_proxy_is_ignored(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1")
    run_pull(hub, tmp_path)
    assert is_loadable(tmp_path)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://", "http://[::1"])
def test_an_invalid_proxy_is_rejected(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(InvalidOptionError, match="proxy"):
        run_pull(hub, tmp_path)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_password_of_a_proxy_that_refuses_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    tls, ca_file = make_certificate(tmp_path) if scheme == "https" else (None, None)
    with running_proxy() as proxy, running_hub(tls=tls) as server:
        proxy.rejects = True
        monkeypatch.setenv(f"{scheme}_proxy", proxy.url.replace("//", "//user:secret@"))
        with pytest.raises(HubResponseError, match="407") as caught:
            run_pull(server, tmp_path / "cache", ca_file=ca_file)
    assert "secret" not in str(caught.value)


def test_an_unreachable_proxy_is_named_without_its_password(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_proxy() as proxy:
        pass
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:secret@"))
    report = RecordingReport()
    with pytest.raises(HubUnreachableError, match=r"the proxy 127\.0\.0\.1:\d+: "):
        run_pull(hub, tmp_path, report=report)
    assert report.retries
    assert "secret" not in " ".join(report.retries)


@pytest.mark.parametrize("mode", [Mode.STORE_LOOP, Mode.STORE_NOWHERE])
def test_the_signature_of_a_redirect_is_not_shown(
    hub: HubServer, tmp_path: Path, mode: Mode
) -> None:
    hub.mode = mode
    where = f"{hub.store_url}/lfs/{WEIGHTS}"
    with pytest.raises(HubResponseError, match=re.escape(where)) as caught:
        run_pull(hub, tmp_path)
    assert "Signature" not in str(caught.value)


@contextmanager
def running_ssh() -> Iterator[str]:
    """Respond to one request with another protocol."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def respond() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=respond, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(DEADLINE_SECONDS)


def test_a_response_that_is_not_http_is_reported_without_the_query(
    tmp_path: Path,
) -> None:
    with running_hub() as server, running_ssh() as ssh:
        server.store_url = ssh
        with pytest.raises(HubResponseError, match="did not speak HTTP") as caught:
            run_pull(server, tmp_path)
    assert "Signature" not in str(caught.value)


def test_a_netrc_does_not_replace_the_token(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    run_pull(hub, tmp_path / "cache", token="hf_secret")
    sent = {(seen.server, seen.authorization) for seen in hub.seen}
    assert sent == {("hub", "Bearer hf_secret"), ("store", None)}


def test_an_untrusted_certificate_is_not_retried(tmp_path: Path) -> None:
    tls, _ = make_certificate(tmp_path)
    report = RecordingReport()
    with running_hub(tls=tls) as server, pytest.raises(HubResponseError, match="SIZEUP_CA_FILE"):
        run_pull(server, tmp_path / "cache", report=report)
    assert report.retries == []


@pytest.mark.parametrize("variable", ["SIZEUP_CA_FILE", "SSL_CERT_FILE"])
def test_a_private_authority_is_trusted(tmp_path: Path, variable: str) -> None:
    tls, ca_file = make_certificate(tmp_path)
    with running_hub(tls=tls) as server:
        cache = tmp_path / "cache"
        with pull_command(server, cache, MAIN, **{variable: str(ca_file)}) as process:
            _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, err) == (0, b"")
    assert is_loadable(cache)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with running_hub() as server, pytest.raises(InvalidOptionError, match=r"ca\.pem"):
        run_pull(server, tmp_path / "cache", ca_file=file)


@pytest.mark.parametrize("mode", [Mode.UNAVAILABLE, Mode.SILENT])
def test_a_complete_model_needs_no_hub(hub: HubServer, tmp_path: Path, mode: Mode) -> None:
    snapshot = run_pull(hub, tmp_path)
    hub.mode = mode
    hub.seen.clear()
    report = RecordingReport()
    assert run_pull(hub, tmp_path, silence_seconds=0.2, report=report) == snapshot
    assert len(hub.seen) == 1  # the model is cached: no retries
    assert len(report.notes) == 1


def test_an_incomplete_commit_needs_the_hub(hub: HubServer, tmp_path: Path) -> None:
    run_pull(hub, tmp_path)
    (tmp_path / "models--Qwen--Tiny" / "refs" / "main").write_text("f" * 40)
    shutil.copytree(
        tmp_path / "models--Qwen--Tiny" / "snapshots" / COMMIT,
        tmp_path / "models--Qwen--Tiny" / "snapshots" / ("f" * 40),
        symlinks=True,
    )
    hub.mode = Mode.UNAVAILABLE
    with pytest.raises(HubUnreachableError):  # the snapshot of main has no marker
        run_pull(hub, tmp_path)


def test_offline_a_complete_model_is_enough(hub: HubServer, tmp_path: Path) -> None:
    snapshot = run_pull(hub, tmp_path)
    hub.seen.clear()
    assert run_pull(hub, tmp_path, offline=True) == snapshot
    assert hub.seen == []


def test_offline_a_model_of_another_tool_is_verified_once(hub: HubServer, tmp_path: Path) -> None:
    marker = marker_path(run_pull(hub, tmp_path))
    marker.unlink()
    run_pull(hub, tmp_path, offline=True)
    assert marker.is_file()


def test_offline_an_incomplete_model_is_rejected(hub: HubServer, tmp_path: Path) -> None:
    snapshot = run_pull(hub, tmp_path)
    marker_path(snapshot).unlink()
    blob = (snapshot / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x00")
    assert hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name
    for cache in (tmp_path, tmp_path / "empty"):
        with pytest.raises(InvalidOptionError, match="HF_HUB_OFFLINE"):
            run_pull(hub, cache, offline=True)
    assert not marker_path(snapshot).exists()


@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_the_token_of_the_environment_is_sent(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "hf_environment")
    run_pull(hub, tmp_path)
    sent = {(seen.server, seen.authorization) for seen in hub.seen}
    assert sent == {("hub", "Bearer hf_environment"), ("store", None)}


@pytest.mark.parametrize("variable", ["HF_TOKEN_PATH", "HF_HOME"])
def test_the_token_file_is_read(hub: HubServer, tmp_path: Path, variable: str) -> None:
    token = tmp_path / "token"
    token.write_text("hf_file\n")
    path = token if variable == "HF_TOKEN_PATH" else tmp_path
    with pull_command(hub, tmp_path / "cache", MAIN, **{variable: str(path)}) as process:
        assert process.wait(DEADLINE_SECONDS) == 0
    sent = {(seen.server, seen.authorization) for seen in hub.seen}
    assert sent == {("hub", "Bearer hf_file"), ("store", None)}


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "GatedRepo", r"accept the licence at http://127\.0\.0\.1:\d+/Qwen/Tiny"),
        (403, "GatedRepo", "accept the licence"),
        (401, "", "HF_TOKEN"),
        (403, "", "no access"),
        (404, "RepoNotFound", "no such model"),
        (404, "RevisionNotFound", "revision not found"),
    ],
)
def test_refusals_are_distinguished(
    hub: HubServer, tmp_path: Path, status: int, code: str, words: str
) -> None:
    hub.refusal = (status, {"X-Error-Code": code} if code else {})
    with pytest.raises(HubRefusedError, match=words):
        run_pull(hub, tmp_path, token="hf_secret")


def test_the_token_is_not_in_the_repr() -> None:
    assert "hf_secret" not in repr(HubOptions("http://hub", "hf_secret", 1.0, 1, 0.0))


def test_a_trickling_hub_times_out(hub: HubServer, tmp_path: Path) -> None:
    hub.mode = Mode.TRICKLE
    with pytest.raises(HubUnreachableError, match="too slow"):
        run_pull(hub, tmp_path, silence_seconds=0.2)


def test_a_redirect_from_https_to_http_is_not_followed(tmp_path: Path) -> None:
    tls, ca_file = make_certificate(tmp_path)
    with running_hub() as plain, running_hub(tls=tls) as server:
        server.store_url = plain.store_url
        with pytest.raises(HubResponseError, match="redirects to http"):
            run_pull(server, tmp_path / "cache", ca_file=ca_file)
    assert plain.seen == []
