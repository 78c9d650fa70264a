"""How a process ended is told everywhere with the same words, and nothing dead is kept."""

import os
import signal

import pytest

from machine import stat_of
from ttrpc import Task
from waiting import until

pytestmark = pytest.mark.submission("a wrong exit status restarts what succeeded; milliseconds each")


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 1", 1), ("exit 127", 127), ("exit 255", 255), ("exit -- -1", 255),
     ("kill -HUP $$", 129), ("kill -TERM $$", 143), ("kill -34 $$", 162), ("kill -64 $$", 192)],
)  # fmt: skip
def test_every_answer_has_the_same_end(bench, script, status):
    c = bench.container("/bin/bash", "-c", script, linux={"namespaces": [{"type": "mount"}]})
    c.create()
    c.call("Start")
    wait = c.call("Wait")
    assert wait.exit_status == status
    for task in (c.task, Task(c.task.connection, "v2")):
        for _ in range(2):
            state = task.call("State", id="one")
            assert (state.status, state.exit_status, state.exited_at) == ("STOPPED", status, wait.exited_at)
    deleted = c.end()
    assert (deleted.exit_status, deleted.exited_at) == (status, wait.exited_at)
    event = bench.events.wait("/tasks/exit", id="one")
    assert (event.exit_status, event.exited_at) == (status, wait.exited_at)


def children(pid):
    """The children of pid; zombies count. Not /proc/PID/task/TID/children: it can miss some while others end."""
    return {int(p) for p in os.listdir("/proc") if p.isdigit() and (stat := stat_of(p)) and stat[1] == pid}


def test_orphans_are_reaped_without_being_asked_for(bench):
    """In the host's pid namespace they come to the shim; no call of containerd's follows."""
    script = "for i in 1 2 3 4 5 6 7 8; do (sleep 616 &) ; done; exec sleep 616"
    c = bench.container("/bin/sh", "-c", script, linux={"namespaces": [{"type": "mount"}]})
    pid = c.create()
    c.call("Start")
    orphans = until(lambda: (now := children(c.shim_pid) - {pid}) and len(now) == 8 and now)
    for each in orphans:
        os.kill(each, signal.SIGKILL)
    until(lambda: children(c.shim_pid) == {pid}, what="the orphans are gone")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
