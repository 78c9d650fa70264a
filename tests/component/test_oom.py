"""/tasks/oom: once for each kill, with the container's id, before the exit that it explains."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from cgroups import directories
from machine import is_zombie
from ttrpc import metrics
from waiting import until

pytestmark = pytest.mark.submission("CRI says OOMKilled by this event; the kernel kills within milliseconds")

LIMIT = {"memory": {"limit": 24 << 20, "swap": 24 << 20}, "devices": [{"allow": False, "access": "rwm"}]}
# tail keeps the one endless line in memory
HUNGRY = "tail /dev/zero"


def hungry(bench, script, name="one", stdin=False):
    c = bench.container("/bin/sh", "-c", script, name=name, linux={"resources": LIMIT,
                        "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")]})  # fmt: skip
    paths = {"stdin": c.fifo("stdin")} if stdin else {}
    c.pid = c.create(**paths)
    c.go = lambda: pathlib.Path(paths["stdin"]).write_text("go\n")
    where = directories(c.pid)
    c.counts = "memory" in where or ("" in where and (where[""] / "memory.events").exists())
    c.call("Start")
    return c


def kills(c):
    answer, version = metrics(c.call("Stats"))
    return answer.memory_oom_control.oom_kill if version == "v1" else answer.memory_events.oom_kill


def topics(bench):
    return [t for t, _ in bench.events.all()]


def test_of_the_first_process_comes_before_its_exit(bench):
    c = hungry(bench, f"exec {HUNGRY}")
    if not c.counts:
        c.call("Kill", signal=9)
        c.call("Wait")
        c.end()
        return
    assert c.call("Wait").exit_status == 137
    assert kills(c) == 1, "containerd 2.3 and later reads the count after the exit"
    c.end()
    bench.events.wait("/tasks/delete")
    assert topics(bench) == ["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit", "/tasks/delete"]
    assert bench.events.wait("/tasks/oom").container_id == "one"


def test_of_a_child_is_told_while_the_task_runs_on(bench):
    c = hungry(bench, f"{HUNGRY}; exec sleep 600")
    if c.counts:
        assert bench.events.wait("/tasks/oom").container_id == "one"
        assert c.call("State").status == "RUNNING"
        assert kills(c) == 1
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
    bench.events.wait("/tasks/delete")
    assert topics(bench).count("/tasks/oom") == (1 if c.counts else 0)


def test_tells_of_the_container_that_was_hit(bench):
    """Two in one pod: the other one is not named."""
    group = {"io.containerd.reaper.v2.group": "pod"}
    namespaces = [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")]
    quiet = bench.container("/bin/sleep", "600", name="quiet", annotations=group)
    quiet.create()
    quiet.call("Start")
    c = bench.container("/bin/sh", "-c", f"{HUNGRY}; {HUNGRY}; {HUNGRY}; exit 5", name="loud", annotations=group,
                        linux={"resources": LIMIT, "namespaces": namespaces})  # fmt: skip
    pid = c.create()
    where = directories(pid)
    counts = "memory" in where or ("" in where and (where[""] / "memory.events").exists())
    if not counts:
        c.call("Kill", signal=9, all=True)
    c.call("Start") if counts else None
    status = c.call("Wait").exit_status
    killed = kills(c) if counts else 0
    c.call("Delete")
    quiet.call("Kill", signal=9)
    quiet.call("Wait")
    quiet.call("Delete")
    bench.events.wait("/tasks/delete", container_id="quiet")
    told = [e.container_id for t, e in bench.events.all() if t == "/tasks/oom"]
    if counts:
        assert (status, killed) == (5, 3)
        # two kills between two looks are told once
        assert 1 <= len(told) <= killed
        assert set(told) == {"loud"}
    quiet.call("Shutdown")
    for name in ("quiet", "loud"):
        bench.delete(name)


def test_an_ordinary_kill_is_none(bench):
    c = hungry(bench, "exec sleep 600")
    c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    c.end()
    bench.events.wait("/tasks/delete")
    assert "/tasks/oom" not in topics(bench)


@pytest.mark.parametrize("script", [f"exec {HUNGRY}", f"{HUNGRY}; exit 137"], ids=["first process", "its child"])
def test_the_end_is_told_when_containerd_has_taken_the_reason(bench, script):
    """CRI takes the reason from the event and the end from Wait, and the kubelet keeps what it sees first."""
    c = hungry(bench, script)
    if not c.counts:
        c.call("Kill", signal=9)
    else:
        bench.events.hold("/tasks/oom")
        waiting = c.task.begin("Wait", id="one")
        bench.events.wait("/tasks/oom")
        until(lambda: not os.path.exists(f"/proc/{c.pid}"), what="the end of the first process")
        other = c.another()
        for _ in range(200):
            assert other.call("State", id="one").status == "RUNNING", "the end is told before its reason"
        bench.events.hold(None)
        assert c.task.end("Wait", waiting).exit_status == 137
    c.call("Wait")
    c.end()
    bench.events.wait("/tasks/delete")
    expected = ["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit", "/tasks/delete"]
    assert topics(bench) == (expected if c.counts else [t for t in expected if t != "/tasks/oom"])


@pytest.mark.parametrize("containerd", ["away", pytest.param("silent", marks=pytest.mark.full("a publisher's five seconds"))])
def test_the_end_does_not_wait_for_a_containerd_that_does_not_answer(bench, containerd):
    c = hungry(bench, f"read go; exec {HUNGRY}", stdin=True)
    if containerd == "away":
        bench.events.close()
    else:
        bench.events.hold("/tasks/oom")
    if c.counts:
        c.go()
    else:
        c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    assert c.call("State").status == "STOPPED"
    if containerd == "away":
        bench.events.open()
    bench.events.hold(None)
    c.end()


def test_a_lost_shim_does_not_wait_until_the_reason_is_taken(bench):
    """`delete` has a second for it, and a publisher five."""
    c = hungry(bench, f"read go; exec {HUNGRY}", stdin=True)
    bench.events.hold("/tasks/oom")
    c.go()
    if c.counts:
        bench.events.wait("/tasks/oom")
        until(lambda: not os.path.exists(f"/proc/{c.pid}"), what="the end of the first process")
    c.task.connection.close()
    assert bench.delete("one").exit_status == 137
    again = bench.container("/bin/true")  # the id is free: a container that waits would have it for four more seconds
    again.create()
    assert "/tasks/exit" not in topics(bench)
    bench.events.hold(None)
    again.call("Start")
    again.call("Wait")
    again.end()
    until(c.gone)


# The shim's own epoll forgets the descriptor: epoll knows a file by its number, which is made the same here.
FORGET = """
import ctypes, os, select, sys
pidfd, epoll, word = os.pidfd_open(int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
get = lambda fd: ctypes.CDLL(None).syscall(438, pidfd, fd, 0)
loop = os.dup2(get(epoll), 1000)
os.dup2(get(word), word)
select.epoll.fromfd(loop).unregister(word)
"""


def forget_the_word(pid):
    """From now on nothing tells this shim that memory is short."""
    links = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    (epoll,) = [fd for fd, link in links.items() if link == "anon_inode:[eventpoll]"]
    (word,) = [fd for fd, link in links.items() if link == "anon_inode:[eventfd]" or link.endswith("/memory.events")]
    subprocess.run([sys.executable, "-c", FORGET, str(pid), str(epoll), str(word)], check=True)


@pytest.mark.parametrize("script", [f"read go; exec {HUNGRY}", f"read go; {HUNGRY}; exit 137"], ids=["first process", "its child"])
def test_a_kill_whose_word_comes_too_late_is_found_at_the_end(bench, script):
    c = hungry(bench, script, stdin=True)
    if c.counts:
        forget_the_word(c.shim_pid)
        c.go()
    else:
        c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    c.end()
    bench.events.wait("/tasks/delete")
    expected = ["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit", "/tasks/delete"]
    assert topics(bench) == (expected if c.counts else [t for t in expected if t != "/tasks/oom"])


def caught(pid, number):
    """Whether the process has a handler for a signal."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16) >> (number - 1) & 1


def removed(directory):
    """Tries to remove a cgroup, which can be done when nothing is in it."""
    with contextlib.suppress(OSError):
        directory.rmdir()
    return directory


def rounds(bench, count):
    """The shim finds the kernel's word of the kill and the end of the process at once, in any order."""
    for number in range(count):
        name = f"r{number}"
        c = hungry(bench, f"trap 'exec {HUNGRY}' USR1; sleep 600 & wait", name=name)
        if not c.counts:
            c.call("Kill", signal=9)
        else:
            until(lambda pid=c.pid: caught(pid, signal.SIGUSR1), what="the handler")
            os.kill(c.shim_pid, signal.SIGSTOP)
            try:
                os.kill(c.pid, signal.SIGUSR1)
                until(lambda pid=c.pid: is_zombie(pid), what="the kill")
            finally:
                os.kill(c.shim_pid, signal.SIGCONT)
        assert c.call("Wait").exit_status == 137
        c.end()
        bench.events.wait("/tasks/delete", container_id=name)
        mine = [t for t, e in bench.events.all() if e.container_id == name]
        assert mine[2:] == (["/tasks/oom"] if c.counts else []) + ["/tasks/exit", "/tasks/delete"]


def test_a_kill_that_is_told_with_the_end_comes_before_it(bench):
    rounds(bench, 3)


def test_a_kill_in_a_scope_that_is_gone_is_told(bench):
    """systemd takes a scope away when nothing runs in it, which may be before the shim reads its count (on v1, which tells
    of the shortage and of the end of the cgroup by the same descriptor)."""
    c = hungry(bench, f"trap 'exec {HUNGRY}' USR1; sleep 600 & wait")
    memory = directories(c.pid).get("memory")
    if not memory:
        c.call("Kill", signal=9)
    else:
        assert memory.is_dir()
        until(lambda: caught(c.pid, signal.SIGUSR1), what="the handler")
        os.kill(c.shim_pid, signal.SIGSTOP)
        try:
            os.kill(c.pid, signal.SIGUSR1)
            until(lambda: is_zombie(c.pid), what="the kill")
            until(lambda: not removed(memory).exists(), what="the end of the cgroup")
        finally:
            os.kill(c.shim_pid, signal.SIGCONT)
    assert c.call("Wait").exit_status == 137
    c.end()
    bench.events.wait("/tasks/delete")
    expected = ["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit", "/tasks/delete"]
    assert topics(bench) == (expected if memory else [t for t in expected if t != "/tasks/oom"])


def test_a_scope_that_is_gone_without_a_shortage_tells_nothing(bench):
    c = hungry(bench, "exec sleep 600")
    memory = directories(c.pid).get("memory")
    os.kill(c.shim_pid, signal.SIGSTOP)
    try:
        os.kill(c.pid, signal.SIGKILL)
        until(lambda: is_zombie(c.pid), what="the end")
        until(lambda: not memory or not removed(memory).exists(), what="the end of the cgroup")
    finally:
        os.kill(c.shim_pid, signal.SIGCONT)
    assert c.call("Wait").exit_status == 137
    c.end()
    bench.events.wait("/tasks/delete")
    assert "/tasks/oom" not in topics(bench)


@pytest.mark.full("the same, for rare interleavings")
def test_a_kill_that_is_told_with_the_end_comes_before_it_often(bench):
    rounds(bench, 60)
