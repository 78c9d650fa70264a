"""Nodes under a roll-out: what they were before, and that they are before or after it, never between."""

import hashlib
import json
import os
import pathlib
import stat

from installed import CONFIG, assert_does_not_serve, assert_serves, handlers
from machine import HANDLER, SOURCE, comm, run
from waiting import until

# what systemd, apt, the dynamic linker and the engine (at a start) write there at any time
PASSING = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/ld.so.cache", "/etc/.updated", "/etc/.pwd.lock", "/var/log",
           "/var/cache", "/var/lib/systemd", "/var/lib/containerd", "/var/tmp", "/var/lib/apt", "/var/.updated")  # fmt: skip


def files(node, *tops, but=PASSING):
    """{path: kind, mode, owner and content} of everything below tops."""
    root = str(node.path("/")).rstrip("/")
    found, pending = {}, list(tops)
    while pending:
        directory = pending.pop()
        for entry in os.scandir(root + directory):
            path = f"{directory}/{entry.name}"
            if path.startswith(but):
                continue
            status = entry.stat(follow_symlinks=False)
            content = ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(entry.path)
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(pathlib.Path(entry.path).read_bytes()).hexdigest()
            elif stat.S_ISDIR(status.st_mode):
                pending.append(path)
            found[path] = oct(status.st_mode), status.st_uid, status.st_gid, content
    return found


def differences(before, after):
    return sorted(f"{path}: {before.get(path)} -> {after.get(path)}" for path in {*before, *after} if before.get(path) != after.get(path))


def settled(node):
    """Until what a roll-out has begun on the node is over, whoever waits for it."""
    busy = ("apt-get", "dpkg", "rpm", "dnf", "reaperctl", "flock")
    until(lambda: not [p for p in node.processes() if comm(p) in busy], limit=120, what=f"the end of the jobs on {node.name}")


def is_installed(node):
    return node.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "reaper", check=False).stdout == "installed"


def assert_whole(node):
    """Nothing between: the package database is sound, and containerd runs what its configuration says."""
    settled(node)
    assert node.run("dpkg", "--audit").stdout == ""
    configured = HANDLER in node.path(CONFIG).read_text()
    node.wait_for_cri()
    with node.cri() as cri:
        assert (HANDLER in handlers(cri)) == configured, f"{node.name}: containerd's configuration and what it serves differ"
    if configured:
        assert is_installed(node)


def assert_before(node, etc):
    assert_whole(node)
    assert differences(etc, files(node, "/etc")) == []
    assert_does_not_serve(node)
    for left in ("/usr/bin/reaperctl", "/var/lib/reaper", "/run/reaper-job"):
        assert not node.path(left).exists(), left
    assert not list(node.path("/run").glob("reaper-put-*"))


def assert_after(node):
    assert_whole(node)
    assert is_installed(node)
    assert_serves(node)
    for left in ("/var/lib/reaper/packages/began", "/run/reaper-job"):
        assert not node.path(left).exists(), left


def roll(cluster, report, *arguments, check=True, **options):
    """install-reaper.sh for a cluster: (its result, {node: what the report says})."""
    command = [SOURCE / "scripts/install-reaper.sh", "--kind", cluster, "--report", report, *arguments]
    result = run(command, check=check, timeout=900, cwd="/", **options)
    made = sorted(pathlib.Path(report).glob("*.json"), key=lambda path: path.stat().st_mtime)
    told = json.loads(made[-1].read_text())["nodes"] if made else []
    return result, {node["node"]: node for node in told}


class Gate:
    """containerd's next start waits here: its configuration is written, and it does not run yet."""

    def __init__(self, node):
        self.node = node
        unit = node.path("/run/systemd/system/containerd.service.d/reaper-test.conf")
        unit.parent.mkdir(parents=True, exist_ok=True)
        unit.write_text("[Service]\nExecStartPre=/bin/sh -c 'exec 2>/dev/null; read x </run/reaper-test-gate'\n")
        os.mkfifo(node.path("/run/reaper-test-gate"))
        node.run("systemctl", "daemon-reload")
        self.unit = unit

    def wait(self):
        """Until somebody waits: only then can the other end be opened."""

        def there():
            try:
                self.writer = os.open(self.node.path("/run/reaper-test-gate"), os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                return False
            return True

        until(there, limit=600, what="containerd's start")

    def open(self):
        os.write(self.writer, b"go\n")
        os.close(self.writer)

    def remove(self):
        self.unit.unlink()
        self.node.path("/run/reaper-test-gate").unlink()
        self.node.run("systemctl", "daemon-reload")


def power_cut(node):
    """The node goes down at once, and comes up again with an empty /run, as a machine does."""
    run(["docker", "kill", "--signal", "KILL", node.name])
    run(["docker", "start", node.name])
    node.pid = int(run(["docker", "inspect", "--format", "{{.State.Pid}}", node.name]).stdout)
    until(lambda: node.path("/run/systemd/private").exists(), limit=60, what="systemd")
    node.run("systemctl", "is-system-running", "--wait", check=False, timeout=180)
