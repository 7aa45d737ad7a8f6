"""The build's own decisions, on a tool that remembers what it was told."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from images import build
from images.build import OWN_BASE, PUBLIC_BASE, Images, chart_version, find_base, main, passed_on
from images.tools import Buildah, BuildError, Docker, Tool, find_tool, read_size


class RecordingTool:
    """A store of images without a program behind it."""

    def __init__(self, *present: str, registry: bool = False, built_bytes: int = 130) -> None:
        self.images = dict.fromkeys(present, 100)
        self.arguments: dict[str, Mapping[str, str]] = {}
        self.pushed: dict[str, str] = {}
        self._registry = registry
        self._built_bytes = built_bytes

    def build(
        self,
        dockerfile: Path,
        context: Path,
        reference: str,
        target: str | None,
        arguments: Mapping[str, str],
    ) -> None:
        assert dockerfile.is_relative_to(context)
        self.images[reference] = self._built_bytes
        self.arguments[reference] = {**arguments, "target": target or ""}

    def pull(self, reference: str) -> None:
        if not self._registry:
            raise BuildError("no route to the registry")
        self.images[reference] = 100

    def adopt(self, archive: Path, reference: str) -> None:
        assert archive.exists()
        self.images[reference] = 100

    def has(self, reference: str) -> bool:
        return reference in self.images

    def size(self, reference: str) -> int:
        return self.images[reference]

    def save(self, reference: str, archive: Path) -> None:
        assert not archive.exists()
        archive.write_text(reference)

    def push(self, reference: str, target: str) -> None:
        assert reference in self.images
        self.pushed[target] = reference

    def remove(self, references: Sequence[str]) -> None:
        for reference in references:
            self.images.pop(reference, None)

    def discard(self) -> None:
        self.images.clear()


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """Make shell scripts the only programs there are, besides the shell's own."""
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_an_image_has_the_name_the_chart_asks_for() -> None:
    tool = RecordingTool(PUBLIC_BASE)
    images = Images(tool)
    reference = images.build("inference-fake")
    assert reference == f"docker.io/library/sizeup-inference:{chart_version()}-fake"
    assert tool.arguments[reference]["target"] == "fake"
    assert tool.arguments[reference]["BASE_IMAGE"] == PUBLIC_BASE
    assert images.bytes_above_base(reference) == 30
    images.remove()
    assert list(tool.images) == [PUBLIC_BASE]


def test_a_gateway_that_grows_is_refused() -> None:
    tool = RecordingTool("some-base", built_bytes=100 + 250 * 10**6 + 1)
    with pytest.raises(BuildError, match="adds 250 MB to its base"):
        Images(tool, "t", "some-base").build("gateway")


def test_torch_comes_from_where_it_is_said_to() -> None:
    tool = RecordingTool("some-base")
    images = Images(tool, "t", "some-base")
    cuda = images.build("inference-cuda")
    assert "TORCH_INDEX" not in tool.arguments[cuda]
    cpu = images.build("inference-cpu", "https://example.org/whl")
    assert tool.arguments[cpu]["TORCH_INDEX"] == "https://example.org/whl"


def test_a_base_that_is_there_is_taken() -> None:
    assert find_base(RecordingTool(PUBLIC_BASE)) == PUBLIC_BASE
    assert find_base(RecordingTool(OWN_BASE)) == OWN_BASE


def test_a_base_comes_from_the_registry() -> None:
    assert find_base(RecordingTool(registry=True)) == PUBLIC_BASE


def test_a_base_of_ones_own_is_fetched_too() -> None:
    tool = RecordingTool(registry=True)
    images = Images(tool, "t", "registry.example.com/python:3.11")
    assert images.bytes_above_base(images.build("cli")) == 30


def test_an_image_is_pushed_by_the_name_that_the_chart_gives_it() -> None:
    tool = RecordingTool(PUBLIC_BASE)
    images = Images(tool)
    built = images.build("inference-cuda")
    images.push("inference-cuda", "registry.example.com/team/")
    name = f"registry.example.com/team/sizeup-inference:{chart_version()}-cuda"
    assert tool.pushed == {name: built}


def test_an_image_is_written_to_a_file_again_and_again(tmp_path: Path) -> None:
    tool = RecordingTool(PUBLIC_BASE)
    images = Images(tool, "1.2")
    built = images.build("inference-cuda")
    for _ in range(2):
        archive = images.save("inference-cuda", tmp_path / "carry")
    assert archive == tmp_path / "carry" / "sizeup-inference-1.2-cuda.tar"
    assert archive.read_text() == built


def test_without_a_registry_a_base_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(tmp_path, monkeypatch, mmdebstrap='for last; do :; done; : > "$last"')
    tool = RecordingTool()
    assert find_base(tool) == OWN_BASE
    assert tool.has(OWN_BASE)


def test_without_anything_the_missing_program_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_on_path(tmp_path, monkeypatch)
    with pytest.raises(BuildError, match="mmdebstrap is not installed"):
        find_base(RecordingTool())
    assert main(["gateway", "--store", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("images: images need a running Docker daemon")


def test_a_failed_build_shows_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_on_path(tmp_path, monkeypatch, buildah="echo no such package; exit 7")
    with pytest.raises(BuildError, match=r"exit code 7\nno such package"):
        Buildah(tmp_path / "store").pull("x")


def test_docker_is_taken_where_its_daemon_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    put_on_path(tmp_path, monkeypatch, docker="exit 0", buildah="exit 0")
    assert type(find_tool(tmp_path)).__name__ == "Docker"
    put_on_path(tmp_path, monkeypatch, docker="exit 1")
    assert type(find_tool(tmp_path)).__name__ == "Buildah"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BuildError, match="or buildah and root"):
        find_tool(tmp_path)


def test_buildah_works_in_its_own_folder_with_the_machine_s_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    put_on_path(tmp_path, monkeypatch, buildah=f'echo "$@" > {told}')
    arguments = {"BASE_IMAGE": "b", "PIP_CERT": "/etc/ca/bundle.crt"}
    Buildah(tmp_path / "s").build(Path("D"), Path("."), "name:tag", "fake", arguments)
    words = told.read_text().split()
    assert words[:2] == [f"--root={tmp_path / 's' / 'root'}", f"--runroot={tmp_path / 's' / 'run'}"]
    assert "--volume=/etc/ca:/etc/ca:ro" in words
    assert {"--target=fake", "--build-arg=BASE_IMAGE=b", "--tag=name:tag"} <= set(words)


def test_docker_has_what_it_can_inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docker does it: `image ls` lists nothing under a name that begins with docker.io."""
    docker = 'test "$2 $4" = "inspect docker.io/library/there:1"'
    put_on_path(tmp_path, monkeypatch, docker=docker)
    assert Docker().has("docker.io/library/there:1")
    assert not Docker().has("docker.io/library/elsewhere:1")


@pytest.mark.parametrize("name", ["docker", "buildah"])
def test_both_tools_push_and_save(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    put_on_path(tmp_path, monkeypatch, **{name: f'echo "$@" >> {told}'})
    tool: Tool = Docker() if name == "docker" else Buildah(tmp_path / "store")
    tool.push("mine:1", "registry.example.com/team/mine:1")
    tool.save("mine:1", tmp_path / "mine.tar")
    place = f"--root={tmp_path}/store/root --runroot={tmp_path}/store/run push --quiet"
    archive = f"docker-archive:{tmp_path}/mine.tar:mine:1"
    assert (
        told.read_text().splitlines()
        == {
            "docker": [
                "tag mine:1 registry.example.com/team/mine:1",
                "push --quiet registry.example.com/team/mine:1",
                f"save --output={tmp_path}/mine.tar mine:1",
            ],
            "buildah": [
                f"{place} mine:1 docker://registry.example.com/team/mine:1",
                f"{place} --disable-compression mine:1 {archive}",
            ],
        }[name]
    )


def test_what_is_built_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = RecordingTool("base")
    monkeypatch.setattr(build, "find_tool", lambda _store: tool)
    folder = tmp_path / "carry"
    handed_on = ["--push", "registry.example.com", "--save", str(folder)]
    assert main(["gateway", "cli", "--tag", "7", "--base", "base", *handed_on]) == 0
    names = [f"registry.example.com/sizeup-{name}:7" for name in ("gateway", "cli")]
    assert list(tool.pushed) == names
    assert sorted(file.name for file in folder.iterdir()) == [
        "sizeup-cli-7.tar",
        "sizeup-gateway-7.tar",
    ]
    assert f"pushed {names[0]}" in capsys.readouterr().out


def test_buildah_s_list_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"names": None, "size": "1 B"}, {"names": ["x:1"], "size": "5.41 GB"}]
    (tmp_path / "list").write_text(json.dumps(listed))
    put_on_path(tmp_path, monkeypatch, buildah=f"exec /bin/cat {tmp_path / 'list'}")
    tool = Buildah(tmp_path / "store")
    assert tool.has("x:1")
    assert not tool.has("x:2")
    assert tool.size("x:1") == 5_410_000_000
    with pytest.raises(BuildError, match="x:2"):
        tool.size("x:2")


def test_a_store_goes_with_its_folder(tmp_path: Path) -> None:
    store = tmp_path / "with blank"
    (store / "root" / "overlay").mkdir(parents=True)
    Buildah(store).discard()
    assert not store.exists()
    Buildah(store).discard()


def test_only_how_to_reach_the_network_is_passed_on() -> None:
    environment = {"PIP_CERT": "/ca", "HF_TOKEN": "secret", "HTTPS_PROXY": ""}
    assert passed_on(environment) == {"PIP_CERT": "/ca"}


def test_an_unknown_image_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gateways"])
    assert "no image is called gateways" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("12 B", 12), ("1.5 kB", 1500), ("225 MB", 225e6)])
def test_sizes_are_read(text: str, size: float) -> None:
    assert read_size(text) == size
