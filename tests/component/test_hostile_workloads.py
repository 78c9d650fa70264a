"""Workloads that fight their runtime: whatever they do, calls are answered, the end is theirs, and nothing is left."""

import os
import pathlib
import signal
import sys

import pytest

from bench import exec_spec, spec
from birth import HeldBirth
from cgroups import directories
from machine import is_zombie
from running import DEFAULT_CAPS, bind, mounted, with_mounts
from ttrpc import Connection, RpcError, Task
from waiting import until

pytestmark = pytest.mark.submission("a workload may try anything; seconds each")

HOST_PIDS = [{"type": t} for t in ("mount", "ipc", "uts", "network")]
OWN_PIDS = [*HOST_PIDS, {"type": "pid"}]


def hostile(bench, script, *mounts, namespaces=OWN_PIDS, caps=(), resources=None, name="one", program=("/bin/sh", "-c"), **changes):
    """A started container; what it says is in its file `said`."""
    linux = {"namespaces": namespaces, "resources": {"devices": [{"allow": False, "access": "rwm"}], **(resources or {})}}
    process = {"capabilities": {kind: [*DEFAULT_CAPS, *caps] for kind in ("bounding", "effective", "permitted")}}
    process.update(changes.pop("process", {}))
    c = bench.container(*program, script, name=name, linux=linux, process=process, **with_mounts(*mounts), **changes)
    c.said = c.bundle / "said"
    c.said.touch()
    c.pid = c.create(stdout=f"file://{c.said}", stderr=f"file://{c.said}")
    c.call("Start")
    return c


def says(c, word):
    until(lambda: word in c.said.read_text(), what=f"{word!r} from the workload")


def tried_exec(c, *command):
    """The exit code of an exec, or None where it was refused with a clear error; it is never left hanging."""
    c.call("Exec", exec_id="e", spec=exec_spec(*command))
    try:
        c.call("Start", exec_id="e")
    except RpcError as error:
        assert error.message and "\n" not in error.message
        c.call("Delete", exec_id="e")
        return None
    code = c.call("Wait", exec_id="e").exit_status
    c.call("Delete", exec_id="e")
    return code


def killed(c, code=137):
    assert c.call("State").status == "RUNNING"
    c.call("Kill", signal=9, all=True)
    assert c.call("Wait").exit_status == code
    c.end()


BOMB = """
$SIG{$_} = 'IGNORE' for qw(TERM HUP INT QUIT USR1 USR2);
use POSIX; $| = 1; print "begun\\n";
while (1) { my $pid = fork; if (!defined $pid) { print "full\\n" unless $full++; next } POSIX::setsid() unless $pid; }
"""


@pytest.mark.parametrize("namespaces", [OWN_PIDS, HOST_PIDS], ids=["own_pids", "host_pids"])
def test_a_fork_bomb_of_daemons_that_ignore_signals(bench, namespaces):
    """Each process in a session of its own, at the limit of pids: an exec is answered, and the kill gets all of them."""
    c = hostile(bench, BOMB, program=("/usr/bin/perl", "-e"), namespaces=namespaces, resources={"pids": {"limit": 48}})
    if "pids" not in (where := directories(c.pid)) and not (where.get("") and (where[""] / "pids.max").exists()):
        pytest.fail("nobody counts processes here: a bomb would be everybody's")
    says(c, "full")
    # there is no room for it: it says so, or it was quick enough
    assert tried_exec(c, "/bin/true") in (None, 0)
    c.call("Kill", signal=15)
    killed(c)


def test_a_memory_hog_in_every_process(bench):
    """Killed again and again by the kernel: the shim and the first process go on."""
    limit = {"memory": {"limit": 32 << 20, "swap": 32 << 20}}
    c = hostile(bench, "echo begun; while :; do tail /dev/zero; echo killed; done", resources=limit)
    where = directories(c.pid)
    if "memory" in where or (where.get("") and (where[""] / "memory.max").exists()):
        until(lambda: c.said.read_text().count("killed") > 3)
        assert tried_exec(c, "/bin/true") in (None, 0, 137)
    assert not is_zombie(c.shim_pid)
    killed(c)




@pytest.mark.parametrize("how", ["covered", "unmounted", "renamed", "private_root"])
def test_files_that_are_renamed_and_mounted_over(bench, how):
    """By a workload that may: what an exec then finds is its problem, that it is answered is ours."""
    script = {
        "covered": "mount -t tmpfs none /etc; mount -t tmpfs none /usr/local; mount --bind /proc /run; mount -t tmpfs none /proc;"
                   "mount -t tmpfs none /dev; mount -t tmpfs none /sys; mount -t tmpfs none /",
        "unmounted": "umount -l /proc; umount -l /sys; umount -l /dev/shm; umount -l /dev; umount -l /run",
        "renamed": "mv /etc /etc-away; mkdir /etc; ln -s / /etc/passwd; mv /var/lib/dpkg/info /x; mv /bin /bin-away",
        "private_root": "mkdir -p /tmp/new /tmp/new/old; mount --bind / /tmp/new; cd /tmp/new; pivot_root . tmp; umount -l /tmp",
    }[how]  # fmt: skip
    bench.settings["REAPER_OVERLAY_ISOLATION"] = "pod"
    c = hostile(bench, f"sleep 600 & {script}; echo done; wait", caps=["CAP_SYS_ADMIN"],
                annotations={"reaper.runtime/mounts": "private"})  # fmt: skip
    says(c, "done")
    tried_exec(c, "/bin/true")
    killed(c)


TRACER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
seen = set()
print("begun", flush=True)
while True:
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and name not in seen:
            if libc.ptrace(16, int(name), 0, 0) == 0:  # PTRACE_ATTACH: it stops, and is never told to go on
                seen.add(name)
                print("held", flush=True)
"""


def test_a_tracer_that_holds_its_relatives(bench):
    """With CAP_SYS_PTRACE it may stop an exec, and its end is told to nobody but the tracer as long as that lives: the
    shim serves all others meanwhile, and with the tracer's end each call is answered."""
    c = hostile(bench, TRACER, program=(sys.executable, "-c"), caps=["CAP_SYS_PTRACE"])
    says(c, "begun")
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/sleep", "600"))
    stream = c.task.begin("Start", id="one", exec_id="e")
    says(c, "held")
    other = c.another()
    assert other.call("State", id="one").status == "RUNNING"
    other.code("Kill", id="one", exec_id="e", signal=9)
    assert other.call("Pids", id="one").processes
    other.call("Kill", id="one", signal=9, all=True)
    try:
        c.task.end("Start", stream)
    except RpcError as error:
        assert error.message
    assert c.call("Wait", exec_id="e").exit_status >= 126
    c.call("Delete", exec_id="e")
    assert c.call("Wait").exit_status == 137
    c.end()


@pytest.mark.parametrize("pids", ["own", "host"])
def test_a_child_that_is_stopped_before_its_program(bench, pids):
    """Between its birth and its first program a tracer in the same pid namespace, or a frozen cgroup, may stop it: the
    shim serves all others meanwhile, and the calls that began it are answered when it goes on, or is killed."""
    namespaces = {"own": OWN_PIDS, "host": HOST_PIDS}[pids]
    c = bench.container("/bin/sleep", "600", linux={"namespaces": namespaces})
    other = c.another()
    with HeldBirth(c.shim_pid) as birth:
        stream = c.task.begin("Create", id="one", bundle=str(c.bundle))
        birth.wait()
        assert other.call("Connect", id="one").shim_pid == c.shim_pid
    c.task.end("Create", stream)
    c.call("Start")
    for end in ("goes on", "is killed"):
        c.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", "exit 3"))
        with HeldBirth(c.shim_pid) as birth:
            stream = c.task.begin("Start", id="one", exec_id="e")
            child = birth.wait()
            assert other.call("State", id="one").status == "RUNNING"
            if end == "is killed":
                os.kill(child, signal.SIGKILL)
        if end == "goes on":
            c.task.end("Start", stream)
            assert c.call("Wait", exec_id="e").exit_status == 3
        else:
            with pytest.raises(RpcError, match="before its program ran"):
                c.task.end("Start", stream)
        c.call("Delete", exec_id="e")
    killed(c)


# what may be caught; a workload in the host's pid namespace that has the shim's ids can send any of them
STORM = [s for s in range(1, signal.SIGRTMAX + 1) if s not in (
    signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT,
    signal.SIGSYS, 32, 33)]  # fmt: skip


def test_a_storm_of_signals_to_the_shim(bench):
    """Of all that do not mean a broken program: USR1 asks containerd's own shims for their stacks, and people send it."""
    c = hostile(bench, "sleep 600 & sleep 600 & wait")
    for _ in range(200):
        for number in STORM:
            os.kill(c.shim_pid, number)
    with Connection(c.path) as connection:
        assert Task(connection).call("State", id="one").status == "RUNNING"
    # what it starts has none of the shim's dispositions
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", "grep SigIgn /proc/self/status | grep -q 0000000000000000"))
    c.call("Start", exec_id="e")
    assert c.call("Wait", exec_id="e").exit_status == 0
    c.call("Delete", exec_id="e")
    killed(c)


def test_a_full_upper(bench):
    """Neither bytes nor inodes are left: execs run, the next container of the group starts or says why not, all ends."""
    bench.settings.update(REAPER_UPPER_SIZE="2M", REAPER_OVERLAY_ISOLATION="pod")
    pod = {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "p",
           "io.containerd.reaper.v2.group": "p"}  # fmt: skip
    script = "head -c 9000000 /dev/zero >/var/tmp/fill; i=0; while : >/var/tmp/f$i; do i=$((i+1)); done; "
    c = hostile(bench, f"({script}) 2>/dev/null; echo full; exec sleep 600", annotations=pod)
    says(c, "full")
    assert tried_exec(c, "/bin/true") == 0
    assert tried_exec(c, "/bin/sh", "-c", "echo x >/var/tmp/more") not in (None, 0)
    try:
        other = hostile(bench, "sleep 600", name="two", annotations=pod)
    except RpcError as error:
        assert "No space left" in error.message
        c.task.code("Delete", id="two")
    else:
        other.call("Kill", signal=9)
        other.call("Wait")
        other.call("Delete")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.call("Delete")
    c.call("Shutdown")
    until(c.gone)
    bench.delete("two")
    bench.delete("one")


def test_a_hundred_thousand_files_in_its_directory(bench):
    """In the working directory of it and of its exec, made by itself: nobody walks through them."""
    with mounted("-o", "nr_inodes=200k") as disk:
        disk.chmod(0o777)
        script = "seq 100000 | sed 's/^/f/' | xargs touch; echo full; exec sleep 600"
        c = hostile(bench, script, bind(disk, "/srv/many"), process={"cwd": "/srv/many"})
        says(c, "full")
        assert len(os.listdir(disk)) == 100_000
        c.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", 'exit "$(ls -f | wc -l | sed s/100002/42/)"', cwd="/srv/many"))
        c.call("Start", exec_id="e")
        assert c.call("Wait", exec_id="e").exit_status == 42
        c.call("Delete", exec_id="e")
        killed(c)


def test_output_that_a_grandchild_holds_after_its_parents(bench):
    """Two generations of it in sessions of their own, in the host's pid namespace, deaf to signals."""
    script = "(trap '' TERM HUP INT; setsid sh -c \"trap '' TERM HUP INT; setsid sleep 600 & echo held\") & sleep 600 & wait"
    c = hostile(bench, script, namespaces=HOST_PIDS)
    says(c, "held")
    c.call("Kill", signal=15)
    assert c.call("Wait").exit_status == 143
    c.end()
