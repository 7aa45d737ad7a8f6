"""`make push` with a substitute for docker, which records its calls."""

import os
import subprocess
from pathlib import Path

import pytest

from images.bake import BASE, ROOT

DIGEST = "sha256:" + "0123456789abcdef" * 4
DOCKER = """#!/bin/sh
echo "BASE=$BASE ATTEST=$ATTEST $*" >> "$(dirname "$0")/calls"
case "$*" in *imagetools*) {resolve};; esac
"""


class Push:
    """A run of `make push`; the last call of docker is that of bake."""

    def __init__(self, folder: Path, *words: str, resolve: str = f"echo {DIGEST}") -> None:
        docker = folder / "docker"
        docker.write_text(DOCKER.format(resolve=resolve))
        docker.chmod(0o755)
        environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
        argv = ["make", "push", "REGISTRY=r.example/team", *words]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, check=False)
        self.code = done.returncode
        self.calls = (folder / "calls").read_text().splitlines()


def test_every_image_has_the_base_of_one_digest(tmp_path: Path) -> None:
    push = Push(tmp_path)
    assert push.code == 0
    assert [call.split()[2:4] for call in push.calls] == [
        ["buildx", "imagetools"],
        ["buildx", "bake"],
    ]
    assert push.calls[0].endswith(f" {BASE}")
    assert push.calls[1].startswith(f"BASE={BASE}@{DIGEST} ATTEST= ")


def test_a_base_by_digest_is_used_as_it_is(tmp_path: Path) -> None:
    push = Push(tmp_path, f"BASE=debian@{DIGEST}", "ATTEST=true")
    assert [call.split()[:2] for call in push.calls] == [[f"BASE=debian@{DIGEST}", "ATTEST=true"]]


@pytest.mark.parametrize("resolve", ["exit 1", "true"])
def test_nothing_is_pushed_without_a_digest(tmp_path: Path, resolve: str) -> None:
    push = Push(tmp_path, resolve=resolve)
    assert push.code != 0
    assert not [call for call in push.calls if "bake" in call]
