"""Containers of a bench that run a shell script, and what they say."""

import contextlib
import os
import pathlib
import subprocess
import tempfile

from bench import spec
from ttrpc import RpcError
from waiting import until


def with_mounts(*mounts):
    """The mounts of a config.json, with more at their end."""
    names = ("destination", "type", "source", "options")
    return {"mounts": spec("x")["mounts"] + [dict(zip(names, m)) for m in mounts]}


def bind(source, destination, *options):
    return (destination, "bind", str(source), ["rbind", *options])


def with_caps(*more):
    """A process with these capabilities, too."""
    return {"process": {"capabilities": {k: ["CAP_CHOWN", *more] for k in ("bounding", "effective", "permitted")}}}


# What containerd gives a container that asks for nothing.
DEFAULT_CAPS = [f"CAP_{name}" for name in """CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP
    NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE""".split()]


def plain_pod():
    """A process as CRI writes it for root in a plain pod."""
    return {"process": {"noNewPrivileges": False, "capabilities": {k: DEFAULT_CAPS for k in ("bounding", "effective", "permitted")}}}


class Running:
    """A container of a pod of its own that runs a shell script."""

    def __init__(self, bench, script, *mounts, name="one", **changes):
        self.container = bench.container("/bin/sh", "-c", script, name=name, **with_mounts(*mounts), **changes)
        stdout = self.container.fifo("stdout")
        self.reader = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self.pid = self.container.create(stdout=stdout)
        except RpcError:
            os.close(self.reader)
            self.container.end(delete=False)
            raise
        self.container.call("Start")

    def line(self):
        """The next thing that it says."""

        def read():
            try:
                return os.read(self.reader, 4096)
            except BlockingIOError:
                return b""

        return until(read, what="output").decode()

    def end(self):
        """Its output until its end."""
        code = self.container.call("Wait").exit_status
        os.set_blocking(self.reader, True)
        with os.fdopen(self.reader, "rb") as file:
            text = file.read().decode()
        self.container.end()
        assert code == 0, text
        return text

    def kill(self):
        self.container.call("Kill", signal=9, all=True)
        self.container.call("Wait")
        os.close(self.reader)
        self.container.end()


def said(bench, script, *mounts, name="one", **changes):
    return Running(bench, script, *mounts, name=name, **changes).end()


@contextlib.contextmanager
def mounted(*options, fstype="tmpfs", device="reaper-test"):
    """A file system on the host outside /run, of which pods see nothing."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/mnt"))
    subprocess.run(["mount", "-t", fstype, *options, device, path], check=True)
    try:
        yield path
    finally:
        if os.path.ismount(path):
            subprocess.run(["umount", "-l", path], check=True)
        path.rmdir()
