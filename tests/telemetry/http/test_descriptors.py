import resource
import subprocess
import sys

import pytest

from sizeup_telemetry.http.descriptors import accepted_at_once, connections_within

_RAISE = """
import resource, sys
from sizeup_telemetry.http.descriptors import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
assert raise_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
print(raise_limit())
"""


@pytest.mark.parametrize(("files", "connections"), [(1024, 480), (128, 32), (10, 4)])
def test_a_connection_may_need_two_descriptors(files: int, connections: int) -> None:
    assert connections_within(files) == connections


@pytest.mark.parametrize(("connections", "accepted"), [(4, 1), (32, 2), (480, 30), (8192, 32)])
def test_few_connections_exceed_the_limit(connections: int, accepted: int) -> None:
    assert accepted_at_once(connections) == accepted


@pytest.mark.parametrize("soft", [64, 512])
def test_the_soft_limit_is_raised_to_the_hard_one(soft: int) -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 512)
    arguments = [sys.executable, "-c", _RAISE, str(soft), str(hard)]
    output = subprocess.run(arguments, capture_output=True, check=True, text=True).stdout
    assert int(output) == hard
