"""One cluster for all tests of this folder, and its logs beside whatever fails.

`make cluster-test` runs them; the ordinary run of the tests passes this folder by.
"""

import contextlib
import logging
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest

from cluster import images, kind
from cluster.diagnosis import describe
from cluster.own import requirements
from cluster.own.binaries import built
from cluster.own.buildah import Buildah
from cluster.own.cluster import OwnCluster, only_one
from cluster.release import Release
from cluster.running import Cluster

CACHE = Path(__file__).resolve().parents[2] / ".cluster"
"""What is built once, and the logs of the last run."""
IMAGES = ("gateway", "inference-fake", "cli", "toys", "loadtest")
"""Those of most tests: the engine is the fake one, since here the platform is tested."""
TORCH_IMAGE = "inference-cpu"
_TEST_SECONDS = 900
"""Of one test without its fixtures, whose steps have deadlines of their own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cluster",
        choices=("own", "kind"),
        default="own",
        help="own: a Kubernetes started here (Linux, root); kind: the one of kubectl's context",
    )
    parser.addoption(
        "--torch-index", default="", help="package index of torch; default: PyPI, with CUDA"
    )


def pytest_configure() -> None:
    for client in ("httpx", "httpx2"):  # the official clients' own: a line for every request
        logging.getLogger(client).setLevel(logging.WARNING)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.timeout(_TEST_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Start or find the cluster, and give it the images of this checkout."""
    torch = any("torch" in getattr(item, "fixturenames", ()) for item in request.session.items)
    names = (*IMAGES, TORCH_IMAGE) if torch else IMAGES
    index = request.config.getoption("--torch-index")
    start = _own if request.config.getoption("--cluster") == "own" else _kind
    _tidy_up_when_ended()
    with start(names, index) as running:
        yield running


def _tidy_up_when_ended() -> None:
    """Take SIGTERM and the loss of the terminal for Ctrl-C, unless nohup has it ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@pytest.fixture(scope="session")
def torch(cluster: Cluster) -> None:
    """Ask for the image that computes; it takes minutes, so only who names this one gets it."""


@contextlib.contextmanager
def _own(names: Sequence[str], torch_index: str) -> Iterator[Cluster]:
    if reason := requirements.why_not():
        pytest.skip(reason)
    with only_one(CACHE / "lock"):
        requirements.install_packages()
        # The last steps that need the network of the machine.
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
    if reason := kind.why_not():
        pytest.skip(reason)
    running = kind.KindCluster(CACHE / "logs")
    with images.built(images.Docker(), names, torch_index) as saved:
        _load(running, saved)
    yield running


def _load(running: Cluster, saved: list[images.SavedImage]) -> None:
    for image in saved:
        running.load(image)
        image.remove()  # at once: the next is to have its place on the disk


@pytest.fixture(scope="module")
def new_release(cluster: Cluster) -> Iterator[Callable[[str], Release]]:
    """Make empty releases, each in a namespace of its own that goes with the module's last test."""
    made: list[Release] = []

    def make(namespace: str) -> Release:
        made.append(Release(cluster, namespace))
        return made[-1]

    yield make
    for release in made:
        release.remove()


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
