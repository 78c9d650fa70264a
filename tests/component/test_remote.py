"""File systems with a server: passed through, and one whose server is gone keeps no pod from starting.

The servers are real ones of the kernel's protocols (support/userfs.py): FUSE stands for every file system that may block, since
it is what a test can make unresponsive and release again.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from machine import BINARIES, SOURCE, run
from running import Running, said

pytestmark = pytest.mark.submission("a server that is gone must not stop the node; each takes milliseconds")

HOLD = "echo ready; exec sleep 600"


@contextlib.contextmanager
def served(kind):
    """Such a file system on the host, at a directory below /mnt."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/mnt"))
    server = subprocess.Popen([sys.executable, SOURCE / "tests/support/userfs.py", kind, path], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        subprocess.run(["mount", "--make-shared", path], check=True)  # as systemd has it for all
        yield path
    finally:
        # with its server a FUSE connection ends, and whoever waits gets ENOTCONN
        server.kill()
        server.wait()
        server.stdout.close()
        subprocess.run(["umount", "-R", "-l", path], check=True)
        path.rmdir()


@pytest.fixture(params=["first", "later"])
def moment(request, bench):
    """Before the group is made, and when it is there."""
    if request.param == "first":
        yield request.param
        return
    pod = Running(bench, HOLD, name="holder")
    assert pod.line() == "ready\n"
    yield request.param
    pod.kill()


def test_fuse_is_passed_through_and_writes_are_the_servers(bench, moment):
    with served("fuse") as path:
        script = f"cat {path}/file; echo written >{path}/file; ls {path}; cat {path}/file"
        assert said(bench, script) == "of the server\nfile\nwritten\n"
        assert (path / "file").read_text() == "written\n"


def test_an_automounter_mounts_what_a_pod_asks_for(bench, moment):
    with served("autofs") as path:
        script = f"cat {path}/share/file 2>&1; cat {path}/none 2>/dev/null || echo none"
        assert said(bench, script) == "automounted\nnone\n"
        assert os.path.ismount(path / "share")


def test_a_server_that_is_gone_keeps_no_pod_from_starting(bench, moment):
    with served("dead") as path:
        assert said(bench, "echo started", name="two") == "started\n"
        # nor the node's own programs
        run([BINARIES / "reaperctl", "overlay", "refresh"], timeout=20)
        run([BINARIES / "reaperctl", "overlay", "list"], timeout=20)
        run([BINARIES / "reaperctl", "overlay", "diff"], timeout=20)
        assert str(path) in pathlib.Path("/proc/self/mountinfo").read_text()
