"""The shim dies, alone or with its pod: `delete` by itself has to clean up."""

import os
import signal

import pytest

from machine import RUNTIME
from wire import split_fields
from waiting import until

pytestmark = pytest.mark.submission("a shim that dies must not leave a workload that nobody owns")

SHIM = "containerd-shim-reaper-v2"


def start(machine, name):
    machine.ctr_run(name, "/bin/sh", "-c", "sleep 605 & exec sleep 606", flags=["--detach", "--null-io"])
    (shim,) = machine.shims()
    return shim


def delete(machine, name, namespace="default"):
    """The call that containerd makes, with its arguments and working directory."""
    bundle = machine.bundle(name, namespace)
    return machine.run(
        "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", bundle,
        SHIM, "-namespace", namespace, "-address", machine.socket, "-publish-binary", "/usr/bin/containerd",
        "-id", name, "-bundle", bundle, "delete", text=False,
    )  # fmt: skip


def workload(machine):
    return [p for p in machine.processes() if b"sleep\x00606" in command(p) or b"sleep\x00605" in command(p)]


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def remove_container(machine, name):
    machine.ctr("tasks", "rm", "--force", name, check=False)
    machine.ctr("containers", "rm", name)


def test_delete_alone_ends_the_workload(anywhere):
    """containerd is stopped (not killed) meanwhile, so that only our own call cleans up."""
    shim = start(anywhere, "crash")
    daemon = anywhere.containerd_pid()
    os.kill(daemon, signal.SIGSTOP)
    try:
        os.kill(shim, signal.SIGKILL)
        until(lambda: shim not in anywhere.shims() or not command(shim))
        assert workload(anywhere), "the workload died with its shim: the test shows nothing"
        result = delete(anywhere, "crash")
        assert result.stderr == b""
        fields = {number: value for number, _, value in split_fields(result.stdout)}
        assert fields[2] == 137
        assert fields[1] > 0
        until(lambda: not workload(anywhere))
        # once more, with nothing left to do
        again = delete(anywhere, "crash")
        assert again.stderr == b""
    finally:
        os.kill(daemon, signal.SIGCONT)
    remove_container(anywhere, "crash")


def test_containerd_cleans_up_after_a_dead_shim(anywhere):
    shim = start(anywhere, "crash")
    os.kill(shim, signal.SIGKILL)
    until(lambda: not workload(anywhere))
    until(lambda: "crash" not in anywhere.ctr("tasks", "ls", "-q").stdout.split())
    remove_container(anywhere, "crash")


def test_shim_dies_while_containerd_is_down(anywhere):
    shim = start(anywhere, "crash")
    anywhere.stop_containerd()
    os.kill(shim, signal.SIGKILL)
    anywhere.start_containerd()
    until(lambda: not workload(anywhere))
    remove_container(anywhere, "crash")


def test_delete_of_what_never_was(anywhere, tmp_path):
    """No shim, no state, an empty bundle: silence and an answer that decodes."""
    bundle = f"{anywhere.empty}/bundle"
    anywhere.path(bundle).mkdir()
    result = anywhere.run(
        "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", bundle,
        SHIM, "-namespace", "default", "-address", anywhere.socket, "-publish-binary", "/usr/bin/containerd",
        "-id", "never", "-bundle", bundle, "delete", text=False,
    )  # fmt: skip
    anywhere.path(bundle).rmdir()
    assert result.stderr == b""
    assert dict((n, v) for n, _, v in split_fields(result.stdout))[2] == 137
