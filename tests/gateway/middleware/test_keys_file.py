"""API keys that change while the gateway runs, and their names in metrics and logs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.fake_inference import TOKENS, FakeInference, fake_inference
from gateway.harness import MODEL, Gateway, running_gateway, until

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": False}
Scenario = Callable[[Path, Gateway, FakeInference], Awaitable[None]]


class Mount:
    """A Secret as the kubelet mounts it: `keys` is a link into a folder that is replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turns = 0
        self.file = folder / "keys"
        self.file.symlink_to(Path("..data") / "keys")

    def put(self, *lines: str) -> None:
        self._turns += 1
        version = self._folder / f"..{self._turns}"
        version.mkdir()
        (version / "keys").write_text("\n".join(lines), encoding="utf-8")
        link = self._folder / "..next"
        link.symlink_to(version.name)
        link.rename(self._folder / "..data")


def reloading(
    folder: Path, *lines: str, scenario: Callable[[Mount, Gateway], Awaitable[None]]
) -> None:
    async def run() -> None:
        mount = Mount(folder)
        mount.put(*lines)
        async with (
            fake_inference() as fake,
            running_gateway(fake, api_keys_file=mount.file, catalog_poll_seconds=0.02) as gateway,
        ):
            await scenario(mount, gateway)

    asyncio.run(run())


async def status_with(gateway: Gateway, key: str) -> int:
    return (await gateway.post("/api/chat", CHAT, Authorization=f"Bearer {key}"))[0]


async def until_status(gateway: Gateway, key: str, status: int) -> None:
    async with asyncio.timeout(60):
        while await status_with(gateway, key) != status:  # noqa: ASYNC110 - has no event
            await asyncio.sleep(0.005)


def test_a_key_is_revoked_and_another_accepted_without_a_restart(tmp_path: Path) -> None:
    async def scenario(mount: Mount, gateway: Gateway) -> None:
        assert await status_with(gateway, "old") == 200
        assert await status_with(gateway, "new") == 401
        mount.put("new")
        await until_status(gateway, "new", 200)
        assert await status_with(gateway, "old") == 401

    reloading(tmp_path, "old", scenario=scenario)


def test_limits_that_are_added_apply(tmp_path: Path) -> None:
    async def scenario(mount: Mount, gateway: Gateway) -> None:
        mount.put("key requests_per_minute=1")
        await until_status(gateway, "key", 429)
        mount.put("key")
        await until_status(gateway, "key", 200)

    reloading(tmp_path, "key", scenario=scenario)


@pytest.mark.parametrize("lines", [(), ("key limit=1",), ("# nothing",)])
def test_an_invalid_file_changes_nothing(
    lines: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(mount: Mount, gateway: Gateway) -> None:
        mount.put(*lines)
        await until(lambda: gateway.sample("api_keys_invalid") == 1)
        assert await status_with(gateway, "key") == 200
        mount.put("other")
        await until(lambda: gateway.sample("api_keys_invalid") == 0)
        assert await status_with(gateway, "key") == 401

    with caplog.at_level(logging.INFO):
        reloading(tmp_path, "key", scenario=scenario)
    events = [record.message for record in caplog.records if "api_keys" in record.message]
    assert events == ["api_keys.invalid", "api_keys.reloaded"]


def test_a_removed_file_changes_nothing(tmp_path: Path) -> None:
    async def scenario(mount: Mount, gateway: Gateway) -> None:
        mount.file.unlink()
        await until(lambda: gateway.sample("api_keys_invalid") == 1)
        assert await status_with(gateway, "key") == 200

    reloading(tmp_path, "key", scenario=scenario)


def test_keys_of_one_name_share_its_limits(tmp_path: Path) -> None:
    limit = "name=team-a requests_per_minute=1"

    async def scenario(_mount: Mount, gateway: Gateway) -> None:
        assert await status_with(gateway, "one") == 200
        status, headers, text = await gateway.post("/api/chat", CHAT, Authorization="Bearer two")
        assert (status, headers["x-ratelimit-remaining-requests"]) == (429, "0")
        assert "team-a" in text
        assert await status_with(gateway, "three") == 200

    reloading(tmp_path, f"one {limit}", f"two {limit}", "three", scenario=scenario)


def test_a_name_is_in_metrics_and_in_the_log_and_its_key_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(_mount: Mount, gateway: Gateway) -> None:
        await status_with(gateway, "hidden-one")
        await status_with(gateway, "hidden-two")
        await status_with(gateway, "hidden-three")

        def count(metric: str, **labels: str) -> float:
            return gateway.sample(metric, api_key_name="team-a", **labels)

        assert count("api_key_requests_total", outcome="ok") == 2
        assert count("api_key_tokens_total") == 2 * (7 + len(TOKENS))
        async with gateway.http.get(
            gateway.url + "/metrics", headers={"X-Api-Key": "hidden-three"}
        ) as response:
            assert "hidden" not in await response.text()

    with caplog.at_level(logging.INFO):
        lines = ("hidden-one name=team-a", "hidden-two name=team-a", "hidden-three")
        reloading(tmp_path, *lines, scenario=scenario)
    ended = [vars(record) for record in caplog.records if record.message == "request.finished"]
    chats = [fields for fields in ended if fields["route"] == "/api/chat"]
    assert [fields.get("api_key_name") for fields in chats] == ["team-a", "team-a", None]
    assert "hidden" not in caplog.text
