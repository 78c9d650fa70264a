"""containerd is killed and started again under running pods: nothing is lost, nobody notices."""

import contextlib
import itertools
import pathlib
import re

import pytest

from pods import Pods
from waiting import until

# numbers its lines without end, and says at TERM how far it came: a trap comes between two commands
COUNT = """
trap 'echo end $i; exit 33' TERM
i=0
while :; do echo $((i = i + 1)); [ $((i % 500)) -ne 0 ] || sleep 0.05; done
"""


def count_through(machine, rounds):
    """What a task says goes to a file: every line is there, in order, whatever containerd does."""
    log = f"{machine.empty}/count.log"
    flags = ["--detach", "--log-uri", f"file://{log}"]
    machine.ctr_run("count", "/bin/sh", "-c", COUNT, flags=flags)
    shims = machine.shims()
    for number in range(rounds):
        before = size(machine, log)
        machine.kill_containerd()
        assert machine.shims() == shims
        until(lambda: size(machine, log) > before, what="the task goes on")
        exec_ = machine.ctr("tasks", "exec", "--exec-id", f"e{number}", "count", "/bin/sh", "-c", f"exit {number}",
                            check=False)  # fmt: skip
        assert exec_.returncode == number
    machine.ctr("tasks", "kill", "--signal", "TERM", "count")
    assert end(machine, "count") == 33
    *lines, last = machine.path(log).read_text().splitlines()
    machine.path(log).unlink()
    assert last == f"end {len(lines)}"
    for line, wanted in zip(lines, itertools.count(1)):
        assert line == str(wanted)


def size(machine, path):
    return machine.path(path).stat().st_size


def tasks(machine):
    """[(task, pid, status)] as containerd tells it."""
    return [line.split() for line in machine.ctr("tasks", "ls").stdout.splitlines()[1:]]


def states(machine):
    return {name: status for name, _, status in tasks(machine)}


def pids_of(machine):
    return {name: pid for name, pid, _ in tasks(machine)}


def sleepers(machine):
    """Pids of the `sleep 615` that an exec runs."""

    def command(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""

    return [p for p in machine.processes() if command(p) == b"/bin/sleep\x00615\x00"]


def end(machine, name):
    """The exit code of a task that ends or has ended; it is deleted."""
    until(lambda: states(machine)[name] == "STOPPED", what=f"{name} ends")
    result = machine.ctr("tasks", "delete", name, check=False)
    said = re.search(r"exit code (\d+)", result.stderr)
    machine.ctr("containers", "rm", name)
    return int(said.group(1)) if said else result.returncode


@pytest.mark.submission("three kills under running output, the short form of a hundred")
def test_output_survives_three_kills_of_containerd(checked):
    count_through(checked("trixie"), rounds=3)


@pytest.mark.full("a hundred kills take minutes on each version")
def test_output_survives_a_hundred_kills_of_containerd(anywhere):
    count_through(anywhere, rounds=100)


def keep_every_state(anywhere):
    sleep = ("/bin/sh", "-c", "trap 'exit 41' TERM; while :; do sleep 0.1; done")
    detached = ["--detach", "--null-io"]
    log = f"{anywhere.empty}/exec.log"
    anywhere.ctr_run("running", *sleep, flags=detached)
    anywhere.ctr_run("paused", *sleep, flags=detached)
    anywhere.ctr_run("stopped", "/bin/sh", "-c", "exit 42", flags=detached)
    anywhere.ctr("tasks", "pause", "paused")
    anywhere.ctr("tasks", "exec", "--detach", "--log-uri", f"file://{log}", "--exec-id", "e",
                 "running", "/bin/sleep", "615")  # fmt: skip
    until(lambda: states(anywhere)["stopped"] == "STOPPED")
    pids = pids_of(anywhere), sleepers(anywhere)
    assert len(pids[1]) == 1
    anywhere.kill_containerd()
    assert states(anywhere) == {"running": "RUNNING", "paused": "PAUSED", "stopped": "STOPPED"}
    assert (pids_of(anywhere), sleepers(anywhere)) == pids
    assert anywhere.ctr("tasks", "exec", "--exec-id", "f", "running", "/bin/sh", "-c", "exit 5", check=False).returncode == 5  # fmt: skip
    assert end(anywhere, "stopped") == 42
    anywhere.ctr("tasks", "resume", "paused")
    for name in ("running", "paused"):
        anywhere.ctr("tasks", "kill", "--signal", "TERM", name)
        assert end(anywhere, name) == 41
    anywhere.path(log).unlink()


@pytest.mark.submission("contract: running, stopped, paused and exec-ed tasks survive, exit codes kept")
@pytest.mark.parametrize("suite", ["bookworm", "forky"])
def test_every_state_survives_a_kill_of_containerd(checked, suite):
    keep_every_state(checked(suite))


@pytest.mark.full("the same on every version and on the machine itself")
def test_every_state_survives_a_kill_of_containerd_anywhere(anywhere):
    keep_every_state(anywhere)


@pytest.mark.submission("a kubelet's pod over a crash of containerd; seconds")
def test_a_pod_survives_kills_of_containerd(checked):
    node = checked("trixie")
    with contextlib.closing(Pods(node)) as pods:
        pod = pods.sandbox()
        container = pod.start("/bin/sh", "-c", "trap 'exit 21' TERM; while :; do echo line; sleep 0.02; done")
        log = f"{pod.config['log_directory']}/c0/0.log"
        for _ in range(2):
            until(lambda: size(node, log) > 0)
            node.kill_containerd()
            before = size(node, log)
            assert pods.cri.pod_sandbox_status(pod.id).status.state == "SANDBOX_READY"
            assert pod.state(container) == "CONTAINER_RUNNING"
            until(lambda: size(node, log) > before, what="output after the restart")
        pods.cri.stop_container(container, 30)
        assert pods.cri.container_status(container).exit_code == 21
