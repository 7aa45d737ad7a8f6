"""One cluster for all tests of this folder; its state and logs are attached to failures.

`make cluster-test` runs these tests; `make test` skips them.
"""

import contextlib
import logging
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest

from cluster import images, kind
from cluster.cluster import Cluster
from cluster.diagnosis import describe
from cluster.own import requirements
from cluster.own.binaries import built
from cluster.own.buildah import Buildah
from cluster.own.own_cluster import OwnCluster, exclusive_lock
from cluster.release import Release

CACHE = Path(__file__).resolve().parents[2] / ".cluster"
"""Cached builds, and the logs of the last run."""
IMAGES = ("gateway", "inference-fake", "cli", "toys", "loadtest")
"""Images of most tests, which use the fake engine: they test the platform, not the models."""
TORCH_IMAGE = "inference-cpu"
_TEST_SECONDS = 900
"""Timeout of one test without its fixtures, whose steps have their own deadlines."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cluster",
        choices=("own", "kind"),
        default="own",
        help="own: start a cluster on this machine (Linux, root); kind: use kubectl's context",
    )
    parser.addoption(
        "--torch-index", default="", help="package index for torch; default: PyPI, with CUDA"
    )


def pytest_configure() -> None:
    for client in ("httpx", "httpx2"):  # used by the official clients; logs every request
        logging.getLogger(client).setLevel(logging.WARNING)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.timeout(_TEST_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Start or find the cluster, and load the images of this checkout."""
    torch = any("torch" in getattr(item, "fixturenames", ()) for item in request.session.items)
    names = (*IMAGES, TORCH_IMAGE) if torch else IMAGES
    index = request.config.getoption("--torch-index")
    start = _own if request.config.getoption("--cluster") == "own" else _kind
    _clean_up_on_signals()
    with start(names, index) as running:
        yield running


def _clean_up_on_signals() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C, unless ignored as under nohup."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@pytest.fixture(scope="session")
def torch(cluster: Cluster) -> None:
    """Request the image with torch. Building it takes minutes, so it is opt-in."""


@contextlib.contextmanager
def _own(names: Sequence[str], torch_index: str) -> Iterator[Cluster]:
    if reason := requirements.unavailable_reason():
        pytest.skip(reason)
    with exclusive_lock(CACHE / "lock"):
        requirements.install_packages()
        # Everything that needs the internet happens before the cluster's network is entered.
        binaries = built(CACHE / "bin")
        builder = Buildah()
        pause = builder.pause(binaries.pause)
        with images.built(builder, names, torch_index) as saved:
            running = OwnCluster(CACHE, binaries, pause)
            try:
                _load(running, saved)
                yield running
            finally:
                running.stop()


@contextlib.contextmanager
def _kind(names: Sequence[str], torch_index: str) -> Iterator[Cluster]:
    if reason := kind.unavailable_reason():
        pytest.skip(reason)
    running = kind.KindCluster(CACHE / "logs")
    with images.built(images.Docker(), names, torch_index) as saved:
        _load(running, saved)
    yield running


def _load(running: Cluster, saved: list[images.SavedImage]) -> None:
    for image in saved:
        running.load(image)
        image.remove()  # frees its disk space for the next


@pytest.fixture(scope="module")
def new_release(cluster: Cluster) -> Iterator[Callable[[str], Release]]:
    """Create releases in their own namespaces, which are deleted after the module's last test."""
    made: list[Release] = []

    def make(namespace: str) -> Release:
        made.append(Release(cluster, namespace))
        return made[-1]

    yield make
    for release in made:
        release.delete()


@pytest.fixture(autouse=True)
def _cluster_stays_up(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    running = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and running is not None:
        report.sections.append(("the cluster", describe(running)))
    return report
