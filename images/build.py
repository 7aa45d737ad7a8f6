"""Build the product's images with docker or buildah, whichever is there, and hand them on.

From the repository's root: `python -m images.build gateway inference-fake cli toys`. Only the
standard library is used, so that no virtual environment is needed.
"""

import argparse
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.tools import BuildError, Tool, find_tool, run

ROOT = Path(__file__).resolve().parents[1]
REGISTRY = "docker.io/library"
"""What Kubernetes reads before a name without a registry, so the chart's defaults find these."""
PUBLIC_BASE = "docker.io/library/python:3.11-slim-bookworm"
OWN_BASE = f"{REGISTRY}/sizeup-base:bookworm"
TORCH_SERVER = "https://download.pytorch.org/whl/cpu/"
_OWN_BASE_PACKAGES = "python3,python3-venv,ca-certificates"
_BASE_SECONDS = 900
_SERVER_SECONDS = 20
_PASSED_ON = ("PIP_CERT", "PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
DEFAULT = ("gateway", "inference-cpu", "cli", "toys", "loadtest")
"""What the chart installs on a cluster without GPUs."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A target of a Dockerfile and what its image is called."""

    folder: str
    """Below images/."""
    target: str | None
    repository: str
    suffix: str = ""
    """Of the tag: variants of one repository differ in it."""
    most_bytes: int | None = None
    """Above the base."""

    @property
    def dockerfile(self) -> Path:
        """The Dockerfile in the repository."""
        return ROOT / "images" / self.folder / "Dockerfile"

    def reference(self, tag: str, registry: str = REGISTRY) -> str:
        """Return the image's full name."""
        return f"{registry}/{self.repository}:{tag}{self.suffix}"


RECIPES: Mapping[str, Recipe] = {
    "gateway": Recipe("gateway", None, "sizeup-gateway", most_bytes=250 * 10**6),
    "inference-fake": Recipe("inference", "fake", "sizeup-inference", "-fake"),
    "inference-cpu": Recipe("inference", "cpu", "sizeup-inference"),
    "inference-cuda": Recipe("inference", "cuda", "sizeup-inference", "-cuda"),
    "cli": Recipe("cli", "cli", "sizeup-cli"),
    "toys": Recipe("cli", "toys", "sizeup-toys"),
    "loadtest": Recipe("loadtest", None, "sizeup-loadtest", most_bytes=100 * 10**6),
}


class Images:
    """Images of one tag from one base."""

    def __init__(self, tool: Tool, tag: str | None = None, base: str | None = None) -> None:
        """Choose: the tag defaults to the chart's appVersion, the base to what can be had."""
        self.tool = tool
        self.tag = tag or chart_version()
        self.base = base or find_base(tool)
        if not tool.has(self.base):
            tool.pull(self.base)
        self.built: list[str] = []
        """References, in the order of building."""

    def build(self, name: str, torch_index: str | None = None) -> str:
        """Build an image of RECIPES and return its reference.

        torch_index: where torch comes from; empty is PyPI. None is the Dockerfile's own choice, or
        PyPI where PyTorch's server cannot be reached: it has the same torch, with CUDA.
        """
        recipe = RECIPES[name]
        arguments = {"BASE_IMAGE": self.base, **passed_on(os.environ)}
        if torch_index is None and recipe.target == "cpu" and not is_reachable(TORCH_SERVER):
            torch_index = ""
        if torch_index is not None:
            arguments["TORCH_INDEX"] = torch_index
        reference = recipe.reference(self.tag)
        self.tool.build(recipe.dockerfile, ROOT, reference, recipe.target, arguments)
        self.built.append(reference)
        if recipe.most_bytes is not None and self.bytes_above_base(reference) > recipe.most_bytes:
            added = self.bytes_above_base(reference) / 1e6
            raise BuildError(f"{reference} adds {added:.0f} MB to its base, which is too much")
        return reference

    def push(self, name: str, registry: str) -> str:
        """Send an image to a registry, below host or host/folder; return its name there."""
        recipe = RECIPES[name]
        target = recipe.reference(self.tag, registry.rstrip("/"))
        self.tool.push(recipe.reference(self.tag), target)
        return target

    def save(self, name: str, folder: Path) -> Path:
        """Write an image to a file in a folder, as `docker save` does; return the file."""
        reference = RECIPES[name].reference(self.tag)
        archive = folder / f"{reference.rpartition('/')[2].replace(':', '-')}.tar"
        folder.mkdir(parents=True, exist_ok=True)
        archive.unlink(missing_ok=True)  # buildah would add to an archive, and cannot
        self.tool.save(reference, archive)
        return archive

    def bytes_above_base(self, reference: str) -> int:
        """Return what an image adds to its base."""
        return self.tool.size(reference) - self.tool.size(self.base)

    def remove(self) -> None:
        """Take out of the local store what was built here; the base stays."""
        self.tool.remove(self.built)
        self.built.clear()


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the build arguments that say how this machine reaches the network."""
    return {name: environment[name] for name in _PASSED_ON if environment.get(name)}


def is_reachable(url: str) -> bool:
    """Tell whether a server answers."""
    try:
        with urllib.request.urlopen(url, timeout=_SERVER_SECONDS):
            return True
    except OSError:
        return False


def chart_version() -> str:
    """Return the chart's appVersion, which is the tag its images have by default."""
    chart = (ROOT / "charts/sizeup/Chart.yaml").read_text(encoding="utf-8")
    found = re.search(r'^appVersion: *"?([^"\s]+)', chart, re.MULTILINE)
    if found is None:
        raise BuildError("charts/sizeup/Chart.yaml has no appVersion")
    return found[1]


def find_base(tool: Tool) -> str:
    """Return Python's own image, or one made from Debian's archive when no registry answers."""
    for reference in (PUBLIC_BASE, OWN_BASE):
        if tool.has(reference):
            return reference
    try:
        tool.pull(PUBLIC_BASE)
    except BuildError:
        return make_base(tool)
    return PUBLIC_BASE


def make_base(tool: Tool) -> str:
    """Make a small Debian with Python and return its reference."""
    with tempfile.TemporaryDirectory(prefix="sizeup-base-") as folder:
        archive = Path(folder) / "rootfs.tar"
        options = ["--variant=minbase", f"--include={_OWN_BASE_PACKAGES}"]
        run(["mmdebstrap", *options, "bookworm", str(archive)], _BASE_SECONDS)
        tool.adopt(archive, OWN_BASE)
    return OWN_BASE


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="images.build", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="IMAGE", help=", ".join(RECIPES))
    parser.add_argument("--tag", help="default: the chart's appVersion")
    parser.add_argument("--base", help="base image; default: Python's, or a Debian made here")
    parser.add_argument("--torch-index", help="package index of torch; empty: PyPI")
    parser.add_argument("--push", metavar="REGISTRY", help="send them there: host, or host/folder")
    parser.add_argument("--save", metavar="FOLDER", type=Path, help="write each to a file there")
    parser.add_argument(
        "--store", type=Path, default=Path("/var/lib/sizeup-images"), help="buildah's folder"
    )
    asked = parser.parse_args(argv)
    if unknown := [name for name in asked.names if name not in RECIPES]:
        parser.error(f"no image is called {unknown[0]}; there are {', '.join(RECIPES)}")
    return asked


def main(argv: Sequence[str] | None = None) -> int:
    """Build what is asked for, hand it on, and print name, size and time of each."""
    asked = parse(argv)
    try:
        images = Images(find_tool(asked.store), asked.tag, asked.base)
        print(f"base {images.base}", flush=True)
        for name in asked.names or DEFAULT:
            begun = time.monotonic()
            reference = images.build(name, asked.torch_index)
            added, seconds = images.bytes_above_base(reference), time.monotonic() - begun
            print(f"{reference}  base + {added / 1e6:.0f} MB  {seconds:.0f} s", flush=True)
            if asked.push:
                print(f"pushed {images.push(name, asked.push)}", flush=True)
            if asked.save:
                print(f"saved {images.save(name, asked.save)}", flush=True)
    except BuildError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
