import os
import signal
import subprocess
import sys
from pathlib import Path

from cli.children import DEADLINE_SECONDS, is_running, wait_until

PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-m", "sizeup.deployment.child", str(os.getpid()), "a-name", "service"],
    start_new_session=True,
)
print(child.pid, flush=True)
time.sleep(600)
"""
SERVICE = "import sys, time; print(__name__, *sys.argv, flush=True); time.sleep(600)"


def test_a_child_is_killed_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        name, path = parent.stdout.readline().split()  # the service runs
        assert (name, Path(path).name) == ("__main__", "service.py")
        assert Path(f"/proc/{child}/comm").read_text() == "a-name\n"
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(child))


def test_a_child_of_a_dead_parent_does_not_start() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "sizeup.deployment.child", "1", "a-name", "this"],
        timeout=DEADLINE_SECONDS,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == b""
