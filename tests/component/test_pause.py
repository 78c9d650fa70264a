"""Pause and Resume: everything in the cgroup stands still, and nothing else of the shim does."""

import os
import signal

import pytest

from bench import exec_spec
from cgroups import directories
from ttrpc import NOT_FOUND, OK, PRECONDITION, RpcError
from waiting import until

pytestmark = pytest.mark.submission("the freezer, by itself and beside every other call; a second each")

SLEEP = ("/bin/sleep", "600")


def status(c, **fields):
    return c.call("State", **fields).status


def is_frozen(pid):
    """The kernel's own word."""
    where = directories(pid)
    if "" in where and (where[""] / "cgroup.events").exists():
        return "frozen 1" in (where[""] / "cgroup.events").read_text()
    return (where["freezer"] / "freezer.state").read_text().strip() == "FROZEN"


def topics(bench):
    return [t for t, _ in bench.events.all()]


@pytest.fixture
def cat(bench):
    """A running task that answers what it is told, an exec in it, and two more processes."""
    c = bench.container("/bin/sh", "-c", "sleep 600 & sleep 600 & cat")
    files = {name: c.fifo(name) for name in ("stdin", "stdout")}
    c.reader = os.open(files["stdout"], os.O_RDONLY | os.O_NONBLOCK)
    c.pid = c.create(**files)
    c.writer = os.open(files["stdin"], os.O_WRONLY)
    c.call("Start")
    os.set_blocking(c.reader, True)
    c.call("Exec", exec_id="e", spec=exec_spec(*SLEEP))
    c.call("Start", exec_id="e")
    yield c
    os.close(c.writer)
    os.close(c.reader)


def end(c):
    assert c.code("Kill", signal=9, all=True) in (OK, NOT_FOUND)
    c.call("Wait")
    c.end()


def test_paused_is_frozen_and_resumed_goes_on(cat, bench):
    c = cat
    c.call("Pause")
    assert is_frozen(c.pid), "Pause has answered before everything stood still"
    assert status(c) == "PAUSED"
    assert status(c, exec_id="e") == "PAUSED"
    assert c.code("Pause") == PRECONDITION
    os.write(c.writer, b"heard\n")
    # the calls of a paused task
    assert len(c.call("Pids").processes) >= 4
    assert c.call("Stats").stats.value
    assert c.call("Connect").task_pid == c.pid
    assert c.code("Delete") == PRECONDITION
    assert c.code("Exec", exec_id="late", spec=exec_spec("/bin/true")) == PRECONDITION
    c.call("Resume")
    assert not is_frozen(c.pid)
    assert (status(c), status(c, exec_id="e")) == ("RUNNING", "RUNNING")
    assert c.code("Resume") == PRECONDITION
    assert os.read(c.reader, 100) == b"heard\n"
    assert bench.events.wait("/tasks/paused").container_id == "one"
    assert bench.events.wait("/tasks/resumed").container_id == "one"
    # once more, and in order
    c.call("Pause")
    c.call("Resume")
    end(c)
    seen = topics(bench)
    assert [t for t in seen if t in ("/tasks/paused", "/tasks/resumed")] == ["/tasks/paused", "/tasks/resumed"] * 2
    assert seen[-1] == "/tasks/delete"


def test_an_exec_that_was_added_before_cannot_start_in_a_paused_task(cat):
    c = cat
    c.call("Exec", exec_id="early", spec=exec_spec("/bin/true"))
    c.call("Pause")
    with pytest.raises(RpcError, match="paused") as raised:
        c.call("Start", exec_id="early")
    assert raised.value.code == PRECONDITION
    c.call("Resume")
    end(c)


def test_kill_ends_a_paused_task(cat):
    c = cat
    c.call("Pause")
    c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    assert c.call("Wait", exec_id="e").exit_status == 137
    assert status(c) == "STOPPED"
    assert c.code("Resume") == PRECONDITION
    c.end()


def test_kill_of_all_ends_a_paused_task(cat):
    c = cat
    c.call("Pause")
    c.call("Kill", signal=9, all=True)
    assert c.call("Wait").exit_status == 137
    c.end()


def test_other_signals_wait_for_the_resume(bench):
    c = bench.container("/bin/sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    stdout = c.fifo("stdout")
    reader = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
    c.create(stdout=stdout)
    c.call("Start")
    os.set_blocking(reader, True)
    assert os.read(reader, 100) == b"ready\n"
    c.call("Pause")
    c.call("Kill", signal=int(signal.SIGTERM))
    assert status(c) == "PAUSED"
    c.call("Resume")
    assert c.call("Wait").exit_status == 3
    os.close(reader)
    c.end()


def test_a_wait_outlives_pause_and_resume(cat):
    c = cat
    other = c.another("v2")
    waiting = other.begin("Wait", id="one")
    c.call("Pause")
    c.call("Resume")
    c.call("Kill", signal=9)
    assert other.end("Wait", waiting).exit_status == 137
    c.end()


def test_delete_ends_a_paused_task_whose_shim_was_killed(bench):
    c = bench.container("/bin/sh", "-c", "sleep 600 & exec sleep 600")
    pid = c.create()
    c.call("Start")
    until(lambda: len(c.call("Pids").processes) == 2)
    c.call("Pause")
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    answer = bench.delete("one")
    assert (answer.pid, answer.exit_status) == (pid, 137)


def test_pause_of_one_container_leaves_its_pod_alone(bench):
    """One shim: a call that waits for the freezer holds up nobody."""
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    for _ in range(20):
        pausing = c.task.begin("Pause", id="one")
        assert c.another().call("Connect", id="one").shim_pid == c.shim_pid
        c.task.end("Pause", pausing)
        c.call("Resume")
    end(c)
