"""/tasks/oom: once for each kill, with the container's id, before the exit that it explains."""

import pytest

from cgroups import directories
from ttrpc import metrics

pytestmark = pytest.mark.submission("CRI says OOMKilled by this event; the kernel kills within milliseconds")

LIMIT = {"memory": {"limit": 24 << 20, "swap": 24 << 20}, "devices": [{"allow": False, "access": "rwm"}]}
# tail keeps the one endless line in memory
HUNGRY = "tail /dev/zero"


def hungry(bench, script, name="one"):
    c = bench.container("/bin/sh", "-c", script, name=name, linux={"resources": LIMIT,
                        "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")]})  # fmt: skip
    c.pid = c.create()
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

