"""Calls of buildah, recorded by a substitute program on PATH."""

import json
from pathlib import Path

import pytest

from cluster.command import CommandError
from cluster.images import reference_of
from cluster.own.buildah import OWN_BASE, PUBLIC_BASE, Buildah
from images.bake import ROOT


class Programs:
    """Shell scripts that are the only programs on PATH, each recording its calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls = folder / "calls"
        self._images = folder / "images.json"
        self.listed()
        self.add("buildah", f'case "$3" in images) read -r l < {self._images}; echo "$l";; esac')

    def add(self, name: str, script: str) -> None:
        program = self._folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._calls}\n{script}\n')
        program.chmod(0o755)

    def listed(self, *references: str) -> None:
        """Set what `buildah images` prints, beside an image without a name."""
        names: list[list[str] | None] = [None, *([r] for r in references)]
        self._images.write_text(json.dumps([{"names": n} for n in names]) + "\n")

    def calls(self, verb: str) -> list[list[str]]:
        """Return the arguments of each call of a verb of buildah, in order."""
        lines = [line.split() for line in self._calls.read_text().splitlines()]
        return [words[4:] for words in lines if words[0] == "buildah" and words[3] == verb]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    for name in ("PIP_CERT", "PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return Programs(tmp_path)


@pytest.fixture
def buildah(tmp_path: Path, programs: Programs) -> Buildah:
    return Buildah(tmp_path / "store")


def test_a_target_is_built_as_the_bake_file_describes_it(
    buildah: Buildah, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CERT", "/certs/ca.pem")
    monkeypatch.setenv("HF_TOKEN", "secret")
    programs.listed(PUBLIC_BASE)
    buildah.build("inference-cuda", "https://example.org/whl")
    ((*options, context),) = programs.calls("bud")
    assert context == str(ROOT)
    assert {
        f"--file={ROOT}/images/inference/Dockerfile",
        f"--tag={reference_of('inference-cuda')}",
        "--target=cuda",
        f"--build-arg=BASE_IMAGE={PUBLIC_BASE}",
        "--build-arg=TORCH_INDEX=https://example.org/whl",
        "--build-arg=PIP_CERT=/certs/ca.pem",
        "--volume=/certs:/certs:ro",
    } <= set(options)
    assert not any("secret" in option for option in options)


def test_only_targets_with_torch_get_an_index_of_it(buildah: Buildah, programs: Programs) -> None:
    programs.listed(OWN_BASE)
    buildah.build("gateway", "")
    (options,) = programs.calls("bud")
    assert f"--build-arg=BASE_IMAGE={OWN_BASE}" in options
    assert not [option for option in options if "TORCH_INDEX" in option or "--target" in option]


def test_the_base_is_pulled(buildah: Buildah, programs: Programs) -> None:
    buildah.build("gateway", "")
    assert programs.calls("pull") == [["--quiet", PUBLIC_BASE]]
    assert f"--build-arg=BASE_IMAGE={PUBLIC_BASE}" in programs.calls("bud")[0]


def test_without_a_registry_the_base_is_made(buildah: Buildah, programs: Programs) -> None:
    programs.add(
        "buildah", 'case "$3" in images) echo null;; pull) exit 1;; from) echo made;; esac'
    )
    programs.add("mmdebstrap", ":")
    buildah.build("gateway", "")
    assert programs.calls("commit") == [["--quiet", "made", OWN_BASE]]
    assert programs.calls("rm") == [["made"]]
    assert f"--build-arg=BASE_IMAGE={OWN_BASE}" in programs.calls("bud")[0]


def test_an_image_is_saved_and_removed_by_its_name(
    buildah: Buildah, programs: Programs, tmp_path: Path
) -> None:
    programs.listed("mine:1")
    archive = tmp_path / "mine.tar"
    buildah.save("mine:1", archive)
    buildah.remove("mine:1")
    buildah.remove("other:1")
    options = ["--quiet", "--disable-compression"]
    assert programs.calls("push") == [[*options, "mine:1", f"docker-archive:{archive}:mine:1"]]
    assert programs.calls("rmi") == [["--force", "mine:1"]]


def test_the_pause_image_is_built_once(
    buildah: Buildah, programs: Programs, tmp_path: Path
) -> None:
    program = tmp_path / "pause-0a1b"
    assert buildah.pause(program).reference == "sizeup.test/pause:0a1b"
    programs.listed("sizeup.test/pause:0a1b")
    buildah.pause(program)
    assert len(programs.calls("bud")) == 1


def test_a_failed_build_ends_with_its_output(buildah: Buildah, programs: Programs) -> None:
    programs.add(
        "buildah", 'case "$3" in images) echo null;; bud) echo no such package; exit 7;; esac'
    )
    with pytest.raises(CommandError, match="no such package"):
        buildah.build("gateway", "")
