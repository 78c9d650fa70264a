"""Classes of attacks on container runtimes, by their names: a test each; docs/SECURITY.md has the table."""

import ctypes
import json
import os
import pathlib
import pty
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import pytest

import bench as benches
from attacks import MASKED, READONLY
from bench import exec_spec, spec
from machine import BINARIES
from running import DEFAULT_CAPS, Running, bind, plain_pod, said, with_mounts
from ttrpc import Connection, RpcError, Task
from waiting import until

pytestmark = pytest.mark.submission("an attack that worked on another runtime each; a second each")

OPEN = "for fd in /proc/self/fd/*; do n=${fd##*/}; [ $n -gt 2 ] && readlink $fd; done; true"


@pytest.fixture
def inheritable(tmp_path):
    """Descriptors of this process, which stands for containerd, that were not marked close-on-exec."""
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    fds = [os.open(secret, os.O_RDONLY), os.open("/", os.O_RDONLY | os.O_DIRECTORY)]
    yield tuple(fds)
    for fd in fds:
        os.close(fd)


def identity(path):
    status = os.stat(path)
    return status.st_dev, status.st_ino


def started_with(bench, monkeypatch, **how):
    """`start` as a child of a containerd that is careless in some way."""
    usual = subprocess.run

    def careless(argv, **options):
        return usual(argv, **options, **(how if str(argv[-1]) == "start" else {}))

    monkeypatch.setattr(benches.subprocess, "run", careless)


def run_exec(c, *command, **process):
    out = c.bundle / "exec-out"
    out.touch()
    c.call("Exec", exec_id="e", spec=exec_spec(*command, **process), stdout=f"file://{out}", stderr=f"file://{out}")
    try:
        c.call("Start", exec_id="e")
        c.call("Wait", exec_id="e")
    finally:
        c.call("Delete", exec_id="e")
    return out.read_text()


def sleeping(bench, *mounts, **changes):
    c = bench.container("/bin/sleep", "600", **with_mounts(*mounts), **changes)
    c.create()
    c.call("Start")
    return c


def finish(c):
    c.call("Kill", signal=9, all=True)
    c.call("Wait")
    c.end()


# the shell that globs has a directory open meanwhile
def foreign(text):
    return [line for line in text.splitlines() if not line.startswith(("/proc/", "pipe:"))]


def test_leaked_descriptors(bench, monkeypatch, inheritable):
    """fd leaks: neither the runtime's own descriptors nor those that containerd leaked reach a workload or an exec."""
    started_with(bench, monkeypatch, close_fds=False)
    for fd in inheritable:
        os.set_inheritable(fd, True)
    assert foreign(said(bench, OPEN)) == []
    c = sleeping(bench)
    # by inode: the runtime that the shim holds is a mount of its own, and calls itself "/", too
    held = [identity(entry) for entry in pathlib.Path(f"/proc/{c.shim_pid}/fd").iterdir()]
    assert not {identity(f"/proc/self/fd/{fd}") for fd in inheritable} & set(held)
    assert foreign(run_exec(c, "/bin/sh", "-c", OPEN)) == []
    finish(c)


WORKING = [f"/proc/self/fd/{n}" for n in range(3, 16)] + ["/proc/self/cwd", "/proc/self/root", "/proc/1/cwd", "/proc/thread-self/fd/7"]


def test_leaked_working_directory(bench):
    """CVE-2024-21626: a working directory that is a descriptor of the runtime would lie outside of the view."""
    host = os.stat("/").st_dev, os.stat("/").st_ino
    c = sleeping(bench)
    for number, path in enumerate(WORKING):
        try:
            other = bench.container("/bin/sh", "-c", "exit 0", name=f"c{number}", process={"cwd": path})
            other.create()
        except RpcError as error:
            assert path in error.message or "descriptor" in error.message, error.message
            other.end(delete=False)
        else:
            pid = other.call("State").pid
            at = os.stat(f"/proc/{pid}/cwd")
            assert (at.st_dev, at.st_ino) != host and os.path.realpath(f"/proc/{pid}/cwd") == "/", path
            other.call("Start")
            other.call("Wait")
            other.end()
        try:
            text = run_exec(c, "/bin/sh", "-c", "stat -c '%d %i' . ..", cwd=path)
        except RpcError as error:
            assert error.message
        else:
            assert f"{host[0]} {host[1]}" not in text.splitlines(), path
    finish(c)


def test_overwriting_the_runtime(bench):
    """CVE-2019-5736: the workload is told to run /proc/self/exe, and opens the program of who enters it for writing."""
    before = (BINARIES / "reaper-runtime").read_bytes()
    for path in ("/proc/self/exe", "/proc/1/exe", "/proc/self/fd/3"):
        c = bench.container(path, name="bad")
        with pytest.raises(RpcError):
            c.create()
        c.end(delete=False)
    script = """
        echo begun
        while :; do for exe in /proc/[0-9]*/exe; do
            if [ $exe != /proc/1/exe ] && (echo x >$exe) 2>/dev/null; then echo wrote; fi
        done; done"""
    pod = Running(bench, script, **plain_pod())
    assert pod.line() == "begun\n"
    for _ in range(10):
        c = pod.container
        c.call("Exec", exec_id="e", spec=exec_spec("/bin/true"))
        c.call("Start", exec_id="e")
        assert c.call("Wait", exec_id="e").exit_status == 0
        c.call("Delete", exec_id="e")
    os.set_blocking(pod.reader, False)
    with pytest.raises(BlockingIOError):
        assert os.read(pod.reader, 100) == b""
    pod.kill()
    assert (BINARIES / "reaper-runtime").read_bytes() == before


def exchange(path, other):
    """Two names swap what they name, in one step."""
    ctypes.CDLL(None).renameat2(-100, str(path).encode(), -100, str(other).encode(), 2)


class Swapping:
    """Swaps two names again and again while a test runs, as a workload of another container of the pod would."""

    def __init__(self, path, other):
        self.path, self.other, self.over = path, other, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over:
            exchange(self.path, self.other)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


def mounts_of_the_host():
    """Without the shared group's own, which stay for the next pod."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split(" ", 2)[2] for line in lines if not line.split()[4].startswith("/run/reaper/")]


def test_symlink_race_on_a_volume(bench, sources):
    """CVE-2021-30465: a directory of a shared volume becomes a link to / while something is mounted below it."""
    shared, inner = sources / "shared", sources / "inner"
    (shared / "dir" / "point").mkdir(parents=True)
    inner.mkdir()
    (inner / "mark").write_text("mark\n")
    (shared / "link").symlink_to("/")
    before = mounts_of_the_host()
    script = "cat /srv/shared/*/point/mark /point/mark 2>/dev/null; ls / | grep -c x >/dev/null; true"
    with Swapping(shared / "dir", shared / "link"):
        for number in range(12):
            mounts = bind(shared, "/srv/shared"), bind(inner, "/srv/shared/dir/point")
            try:
                said(bench, script, *mounts, name=f"c{number}")
            except RpcError as error:
                assert "/srv/shared/dir/point" in error.message
    assert not os.path.lexists("/point"), "it was made on the host"
    assert mounts_of_the_host() == before


@pytest.mark.parametrize("link", ["null", "console", "ptmx"])
def test_masked_path_race(bench, sources, link):
    """CVE-2025-31133 and 52565: /dev/null and /dev/console are links, to what the runtime then mounts somewhere writable."""
    dev = sources / "dev"
    dev.mkdir()
    (dev / link).symlink_to("/proc/sys/kernel/core_pattern")
    script = "cat /proc/keys | wc -c; grep -c core_pattern /proc/self/mountinfo; (echo x >/proc/sys/kernel/core_pattern) 2>/dev/null && echo wrote; true"
    before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    linux = {**spec("x")["linux"], "maskedPaths": MASKED, "readonlyPaths": READONLY}
    try:
        text = said(bench, script, bind(dev, "/dev"), linux=linux)
    except RpcError as error:
        assert error.message
    else:
        assert text == "0\n0\n"
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_masked_path_that_is_swapped(bench, sources):
    """The same as a race: the file to be masked lies in a volume that somebody else changes meanwhile."""
    volume = sources / "volume"
    volume.mkdir()
    (volume / "secret").write_text("secret\n")
    (volume / "link").symlink_to("/proc/sys/kernel/core_pattern")
    linux = {**spec("x")["linux"], "maskedPaths": ["/srv/volume/secret"], "readonlyPaths": READONLY}
    before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
    # hidden as well where the link has led there: then it is the null device, and anybody may write to that
    script = "f=/proc/sys/kernel/core_pattern; [ -c $f ] || { echo x >$f; } 2>/dev/null && [ ! -c $f ] && echo wrote; true"
    with Swapping(volume / "secret", volume / "link"):
        for number in range(12):
            try:
                assert said(bench, script, bind(volume, "/srv/volume"), name=f"c{number}", linux=linux) == ""
            except RpcError as error:
                assert error.message
    assert pathlib.Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_redirected_proc(bench, sources):
    """CVE-2025-52881: a volume over /proc has files where the runtime writes labels and sysctls."""
    fake = sources / "proc"
    for path in ("self/attr/exec", "self/attr/apparmor/exec", "sys/kernel/domainname", "sys/net/ipv4/ip_forward", "self/oom_score_adj",
                 "self/setgroups", "self/uid_map", "thread-self/attr/exec", "self/loginuid"):  # fmt: skip
        file = fake / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("untouched")
    process = {**plain_pod()["process"], "oomScoreAdj": 5}
    try:
        said(bench, "true", bind(fake, "/proc"), process=process)
    except RpcError as error:
        assert "/proc" in error.message
    assert {file.read_text() for file in fake.rglob("*") if file.is_file()} == {"untouched"}


TIOCSTI = """
import fcntl, os, termios
try:
    fd = os.open("/dev/tty", os.O_RDWR)
    for byte in b"echo pushed\\n":
        fcntl.ioctl(fd, termios.TIOCSTI, bytes([byte]))
    print("pushed", flush=True)
except OSError as error:
    print("no", flush=True)
"""


def test_pushing_input_into_a_terminal(bench, monkeypatch):
    """TIOCSTI: a workload without a terminal has none, also when its runtime was started from one."""
    master, slave = pty.openpty()
    started_with(bench, monkeypatch, preexec_fn=lambda: (os.setsid(), __import__("fcntl").ioctl(slave, 0x540E, 0)))
    c = bench.container(sys.executable, "-c", TIOCSTI)
    out = c.bundle / "out"
    out.touch()
    c.create(stdout=f"file://{out}")
    c.call("Start")
    c.call("Wait")
    assert out.read_text() == "no\n"
    c.end()
    os.set_blocking(master, False)
    with pytest.raises(BlockingIOError):
        os.read(master, 100)
    os.close(master)
    os.close(slave)


def as_somebody(function):
    """What the function returns in a process of user 12345, or the error it ends with."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(12345, 12345, 12345)
            os.setresuid(12345, 12345, 12345)
            result = function()
        except OSError as error:
            result = type(error).__name__
        os.write(write, str(result).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as file:
        return file.read()


def test_who_speaks_to_the_shim(bench):
    """Socket ownership: root alone, by the socket's mode and, were that lost, by who connects."""
    c = sleeping(bench)
    status = os.stat(c.path)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 0, 0o600)

    def speak():
        with Connection(c.path) as connection:
            return Task(connection).call("State", id="one").status

    assert as_somebody(speak) == "PermissionError"
    directory = pathlib.Path(c.path).parent
    modes = {path: path.stat().st_mode & 0o7777 for path in (directory, directory.parent)}
    try:
        for path in modes:
            path.chmod(0o755)
        os.chmod(c.path, 0o666)
        assert as_somebody(speak) in ("ConnectionError", "ConnectionResetError", "BrokenPipeError")
    finally:
        os.chmod(c.path, 0o600)
        for path, mode in modes.items():
            path.chmod(mode)
    assert c.call("State").status == "RUNNING"
    finish(c)


def test_environment(bench, monkeypatch):
    """Environment hygiene: what containerd and the shim have in theirs is not the workload's, nor to be read there."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-of-containerd")
    monkeypatch.setenv("LD_PRELOAD_FOR_TEST", "hunter2-of-containerd")
    script = "for e in /proc/[0-9]*/environ; do tr '\\0' '\\n' <$e; done; env"
    text = said(bench, script)
    names = {line.split("=")[0] for line in text.splitlines()}
    assert names <= {"PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_"}, names
    c = sleeping(bench)
    assert {line.split("=")[0] for line in run_exec(c, "/usr/bin/env").splitlines()} <= {"PATH", "HOME"}
    finish(c)


def test_predictable_temporary_files(bench, monkeypatch):
    """No program of ours makes a file where everybody may: all of it works while these directories are read-only."""
    wrapper = bench.directory / "containerd-shim-reaper-v2"
    script = "for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o ro none $d || exit 9; done; exec \"$@\""
    wrapper.write_text(f"#!/bin/sh\nexec unshare -m sh -c '{script}' sh {BINARIES}/containerd-shim-reaper-v2 \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(benches, "SHIM", wrapper)
    assert said(bench, "echo done") == "done\n"
    c = sleeping(bench)
    assert run_exec(c, "/bin/echo", "again") == "again\n"
    finish(c)
