"""Exec: it is of its container in everything, ends as a whole, and leaves nothing behind."""

import json
import os
import pathlib

import pytest

from bench import spec
from ttrpc import NOT_FOUND, OK, PRECONDITION
from waiting import until

pytestmark = pytest.mark.submission("probes and kubectl exec; milliseconds each")

SLEEP = ("/bin/sleep", "600")
OUT = "/srv/reaper-exec"


def exec_spec(*args, **process):
    return {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process",
            "value": json.dumps(spec(*args, process=process)["process"]).encode()}  # fmt: skip


def start(bench, *args, **changes):
    """A running container that shares a directory with the test."""
    shared = bench.directory / "out"
    shared.mkdir()
    shared.chmod(0o777)
    mounts = spec("x")["mounts"]
    mounts.append({"destination": OUT, "type": "bind", "source": str(shared), "options": ["rbind"]})
    mounts += changes.pop("mounts", [])
    c = bench.container(*args, mounts=mounts, **changes)
    c.create()
    c.call("Start")
    return c, shared


def stop(c):
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def run(c, exec_id, *args, **process):
    c.call("Exec", exec_id=exec_id, spec=exec_spec(*args, **process))
    c.call("Start", exec_id=exec_id)
    status = c.call("Wait", exec_id=exec_id).exit_status
    c.call("Delete", exec_id=exec_id)
    return status


LOOK = (
    "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:|Sig(Blk|Ign))' /proc/self/status; "
    "for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done; "
    "cat /proc/self/cgroup /proc/self/mountinfo /proc/self/limits /proc/self/oom_score_adj; "
    "env | grep -v '^_=' | sort; umask; pwd"
)


def test_everything_of_its_container(bench):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}
    identity = {"user": {"uid": 1234, "gid": 55, "additionalGids": [7], "umask": 0o27}, "oomScoreAdj": 300,
                "env": ["PATH=/usr/bin:/bin", "A=b"]}  # fmt: skip
    c, shared = start(bench, "/bin/sh", "-c", f"{{ {LOOK}; }} > {OUT}/init; exec sleep 600",
                      process=identity, linux={**spec("x")["linux"], "seccomp": profile})  # fmt: skip
    until(lambda: c.call("State").status == "RUNNING" and (shared / "init").exists()
          and (shared / "init").read_text().endswith("/\n"))  # fmt: skip
    # what containerd sends is the container's process object with other args
    assert run(c, "e", "/bin/sh", "-c", f"{{ {LOOK}; }} > {OUT}/exec", **identity) == 0
    assert (shared / "exec").read_text() == (shared / "init").read_text()
    stop(c)


def test_the_user_of_the_request(bench):
    """And the groups: an empty list is set too, or root's would stay."""
    c, shared = start(bench, *SLEEP)
    assert run(c, "e", "/bin/sh", "-c", f"id -u > {OUT}/id; id -g >> {OUT}/id; id -G >> {OUT}/id; "
               f"grep CapEff /proc/self/status >> {OUT}/id", user={"uid": 1000, "gid": 1001},
               capabilities={}) == 0  # fmt: skip
    assert (shared / "id").read_text().split() == ["1000", "1001", "1001", "CapEff:", "0000000000000000"]
    stop(c)


def test_a_terminal_of_its_own(bench):
    c, shared = start(bench, *SLEEP)
    stdout = c.fifo("stdout")
    reader = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
    c.call("Exec", exec_id="e", terminal=True, stdout=stdout,
           spec=exec_spec("/bin/sh", "-c", f"tty > {OUT}/tty; test -t 0 && test -t 1 && test -t 2 && "
                          f"ps -o tpgid= -p $$ > {OUT}/group; exit 7", terminal=True))  # fmt: skip
    c.call("Start", exec_id="e")
    assert c.call("Wait", exec_id="e").exit_status == 7
    os.close(reader)
    c.call("Delete", exec_id="e")
    assert (shared / "tty").read_text().startswith("/dev/")
    assert int((shared / "group").read_text()) > 0, "no controlling terminal"
    stop(c)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def others(c):
    return {p.pid for p in c.call("Pids").processes}


@pytest.mark.parametrize("own_pids", [True, False], ids=["pid_namespace", "hosts_pids"])
def test_a_time_out_ends_all_that_an_exec_has_started(bench, own_pids):
    """What containerd does when ExecSync or a probe takes too long: Kill with the exec's id."""
    linux = spec("x")["linux"]
    if not own_pids:
        linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] != "pid"]
    c, shared = start(bench, "/bin/sh", "-c", "sleep 600 & exec sleep 600", linux=linux)
    until(lambda: len(others(c)) == 2)
    before = others(c)
    # children, a background job of a child, one in a session of its own
    script = f"sleep 600 & (sleep 600 & sleep 600) & setsid sleep 600 & echo up > {OUT}/up; wait"
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", script))
    c.call("Start", exec_id="e")
    until(lambda: (shared / "up").exists() and len(others(c) - before) >= 5)
    started = others(c) - before
    assert c.code("Kill", exec_id="e", signal=9) == OK
    assert c.call("Wait", exec_id="e").exit_status == 137
    until(lambda: not any(alive(p) for p in started))
    # the container and its own children go on
    until(lambda: others(c) == before)
    assert c.code("Kill", exec_id="e", signal=9) == NOT_FOUND
    c.call("Delete", exec_id="e")
    stop(c)


def test_other_signals_are_the_execs_to_handle(bench):
    c, shared = start(bench, *SLEEP)
    script = f"trap 'echo got > {OUT}/got; exit 4' TERM; echo up > {OUT}/up; while :; do sleep 0.1; done"
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", script))
    c.call("Start", exec_id="e")
    until(lambda: (shared / "up").exists())
    c.call("Kill", exec_id="e", signal=15)
    assert c.call("Wait", exec_id="e").exit_status == 4
    assert (shared / "got").exists()
    c.call("Delete", exec_id="e")
    stop(c)


def test_a_kill_of_all_of_an_exec_spares_its_container(bench):
    c, _ = start(bench, *SLEEP)
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", "sleep 600 & sleep 600"))
    c.call("Start", exec_id="e")
    until(lambda: len(others(c)) >= 3)
    c.call("Kill", exec_id="e", signal=9, all=True)
    assert c.call("Wait", exec_id="e").exit_status == 137
    until(lambda: len(others(c)) == 1)
    assert c.call("State").status == "RUNNING"
    stop(c)


def test_no_exec_after_the_end_of_init(bench):
    c, _ = start(bench, *SLEEP)
    c.call("Exec", exec_id="registered", spec=exec_spec("/bin/true"))
    c.call("Kill", signal=9)
    c.call("Wait")
    assert c.code("Start", exec_id="registered") == PRECONDITION
    assert c.code("Exec", exec_id="late", spec=exec_spec("/bin/true")) == PRECONDITION
    c.end()


def census(c):
    base = pathlib.Path(f"/proc/{c.shim_pid}")
    fds = sorted(os.readlink(f) for f in base.joinpath("fd").iterdir())
    kinds = [k.split(":")[0] for k in fds]
    children = base.joinpath("task", str(c.shim_pid), "children").read_text().split()
    rollup = base.joinpath("smaps_rollup").read_text()
    dirty = int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Private_Dirty")))
    return len(fds), sorted(kinds), children, dirty


def many(bench, number):
    c, _ = start(bench, *SLEEP)
    for i in range(20):
        assert run(c, f"warm{i}", "/bin/true") == 0
    fds, kinds, children, dirty = census(c)
    for i in range(number):
        assert run(c, f"e{i}", "/bin/sh", "-c", "exit 3") == 3
    after = census(c)
    assert (after[0], after[1]) == (fds, kinds)
    assert after[2] == children
    assert len(others(c)) == 1
    # the allocator's own ups and downs, and not a KiB for each exec
    assert after[3] - dirty < max(64, number // 4), f"{after[3] - dirty} KiB more after {number} execs"
    stop(c)


def test_a_hundred_execs_leave_nothing(bench):
    many(bench, 100)


@pytest.mark.full("a thousand execs take half a minute")
def test_a_thousand_execs_leave_nothing(bench):
    many(bench, 1000)
