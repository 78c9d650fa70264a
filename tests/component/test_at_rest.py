"""What a pod costs while nothing happens: facts that are counted, not timed."""

import collections
import contextlib
import os
import pathlib
import random
import re
import time

import pytest

from bench import exec_spec
from ttrpc import Connection, Task
from waiting import until

pytestmark = pytest.mark.submission("an idle pod costs no wakeup, no timer, and two processes; seconds")
SOAK = pytest.mark.full("what one container in a thousand leaves is seen after two thousand; some minutes")

SLEEP = ("/bin/sleep", "600")
SANDBOX = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "one"}
CONTAINER = {**SANDBOX, "io.kubernetes.cri.container-type": "container"}
# seconds that are looked at; the benchmark looks at 60
WINDOW = 3


def switches(pid):
    """How often its threads have slept and been woken, or been made to wait."""
    text = "".join(s.read_text() for s in pathlib.Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(n) for n in re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M))


def timers(pid):
    armed = re.findall(r"^ID:", pathlib.Path(f"/proc/{pid}/timers").read_text(), re.M)
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        armed += re.findall(r"^it_(?:value|interval): \((?!0, 0\)).*\)", info.read_text(), re.M)
    return armed


def settled(pid):
    """Its count, once it stands still: the answers to the last calls may still be on their way."""
    for _ in range(100):
        before = switches(pid)
        time.sleep(0.2)
        if switches(pid) == before:
            return before
    raise AssertionError("the shim is never idle")


@pytest.fixture
def pod(bench):
    """A pod as CRI makes one: sandbox and container in one shim."""
    sandbox = bench.container(*SLEEP, annotations=SANDBOX)
    sandbox.create()
    sandbox.call("Start")
    container = bench.container(*SLEEP, name="two", annotations=CONTAINER)
    container.create()
    container.call("Start")
    yield sandbox, container
    for each in (container, sandbox):
        each.call("Kill", signal=9)
        each.call("Wait")
        each.call("Delete")
    sandbox.call("Shutdown")
    for each in (container, sandbox):
        bench.delete(each.name)


def test_a_pod_has_two_processes_besides_its_workload(bench, pod):
    sandbox, container = pod
    assert sandbox.shim_pid == container.shim_pid
    workload = container.call("State").pid
    others = [pid for pid in bench.processes() if pid not in (os.getpid(), workload)]
    assert sorted(others) == sorted([sandbox.shim_pid, sandbox.call("State").pid])


def test_an_idle_shim_is_never_woken(pod):
    shim = pod[0].shim_pid
    before = settled(shim)
    time.sleep(WINDOW)
    assert switches(shim) == before


def test_an_idle_shim_has_no_timer(pod):
    shim = pod[0].shim_pid
    settled(shim)
    assert timers(shim) == []


def test_the_shim_lets_others_run_first_and_nothing_that_it_starts_does(pod):
    """SCHED_BATCH: who writes a line is not put off for the shim to read that line (docs/STREAMS.md)."""
    sandbox, container = pod
    container.call("Exec", exec_id="e", spec=exec_spec("/bin/sleep", "600"))
    container.call("Start", exec_id="e")
    policies = {who: os.sched_getscheduler(pid) for who, pid in (
        ("shim", sandbox.shim_pid),
        ("sandbox", sandbox.call("State").pid),
        ("workload", container.call("State").pid),
        ("exec", container.call("State", exec_id="e").pid),
    )}  # fmt: skip
    container.call("Kill", exec_id="e", signal=9)
    container.call("Wait", exec_id="e")
    container.call("Delete", exec_id="e")
    ordinary = os.SCHED_OTHER
    assert policies == {"shim": os.SCHED_BATCH, "sandbox": ordinary, "workload": ordinary, "exec": ordinary}


def heap(pid):
    """kB of its own memory that malloc() has."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    return int(re.search(r"\[heap\]\n(?:.*\n)*?Private_Dirty:\s*(\d+)", text).group(1))


def test_a_shim_gives_back_what_calls_took(pod):
    """A kubelet's Stats every ten seconds, and a containerd that comes again and asks for everything."""
    shim, path = pod[0].shim_pid, pod[0].path
    before = heap(shim)
    for _ in range(20):
        for each in pod:
            each.call("Stats")
    until(lambda: heap(shim) <= before + 16, what="the memory that Stats took")
    with Connection(path) as connection:
        for each in pod:
            Task(connection).call("State", id=each.name)
            Task(connection).call("Pids", id=each.name)
    until(lambda: heap(shim) <= before + 16, what="the memory that a client took")


def census(bench, shim):
    """What a shim holds: descriptors by kind, with the watches of its inotify; its children; its cgroups and mounts."""
    kinds = collections.Counter()
    for fd in pathlib.Path(f"/proc/{shim}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            kinds[re.sub(r"[0-9]+", "N", os.readlink(fd))] += 1
            kinds["watches"] += pathlib.Path(f"/proc/{shim}/fdinfo/{fd.name}").read_text().count("inotify wd")
    children = pathlib.Path(f"/proc/{shim}/task/{shim}/children").read_text().split()
    cgroups = [path for path, _, _ in os.walk("/sys/fs/cgroup") if f"/reaper-component-{os.getpid()}" in path]
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    mounts = [point for point in points if point.startswith(("/run/reaper/", str(bench.directory)))]
    return {**+kinds, "children": children, "cgroups": sorted(cgroups), "mounts": mounts}


@pytest.mark.parametrize("count", [pytest.param(40, id="40"), pytest.param(2000, id="2000", marks=SOAK)])
def test_containers_that_come_and_go_leave_nothing_in_their_pods_shim(bench, pod, count):
    """A pod whose container is restarted for months: ends of its own and by force, at random times, execs, and clients
    that come and go in between."""
    dice = random.Random(count)
    shim, path = pod[0].shim_pid, pod[0].path

    def live(number):
        code = dice.randrange(200)
        last = dice.choice([f"exit {code}", f"sleep 0.0{dice.randrange(9)}; exit {code}", "exec sleep 600"])
        c = bench.container("/bin/sh", "-c", last, name=f"n{number}", annotations=CONTAINER)
        c.create()
        c.call("Start")
        if last.startswith("exec"):
            c.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", "exit 3"))
            c.call("Start", exec_id="e")
            assert c.call("Wait", exec_id="e").exit_status == 3
            c.call("Delete", exec_id="e")
            c.call("Stats")
            c.call("Kill", signal=9)
            code = 137
        assert c.call("Wait").exit_status == code
        assert c.call("Delete").exit_status == code
        c.task.connection.close()
        bench.connections.remove(c.task.connection)
        bench.delete(c.name)
        os.close(bench.logs.pop())

    for number in range(5):  # what is made at the first use
        live(number)
    kept, before = heap(shim), census(bench, shim)
    for number in range(5, count):
        live(number)
    until(lambda: census(bench, shim) == before, what=f"{before}, and there is {census(bench, shim)}")
    until(lambda: heap(shim) <= kept + 16, what="the memory that they took")
