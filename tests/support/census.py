"""What is on a machine, and what a test has left there.

Taken before and after every test, for the host and for node containers alike. Nothing may be new
and nothing may be gone: no process, mount, cgroup, socket, bundle or temporary file, and nothing
in /dev and /run. The overlay group that pods share (its pin, tmpfs and upper) is taken away by
`reaperctl overlay gc --all` first, as the product promises.
"""

import collections
import os
import pathlib
import re
import time

from machine import comm, stat_of

# Files that others write at any time. Everything else under /run and /dev counts.
PASSING = {
    "node": [
        # systemd and journald, on every start of a unit
        r"/run/systemd/(journal/streams|units|transient|generator|propagate)(/|$)",
        r"/run/log/journal(/|$)",
    ],
    "host": [
        r"/run/docker(/|$)",
        r"/run/docker\.(sock|pid)$",
        r"/run/containerd/runc(/|$)",
        # Criterion's and the unit tests' own, while somebody runs them
        r"/dev/shm/(bxfi_|reaper-unit-)",
        # the terminals of other people; ours end with their processes
        r"/dev/pts/",
        r"/run/(systemd|user|utmp|lock|log|sudo|screen|tmux)(/|$)",
    ],
}
# Directories that containerd itself makes at a first use and keeps; what is in them counts.
KEPT = r"/io\.containerd\.(runtime\.v2\.task(/(default|k8s\.io))?|[a-z0-9.]*cri[a-z0-9.]*(/(containers|sandboxes))?)$"

# seconds that the ends of what a test started may take to be over; there is no event for "all
# of it is gone"
SETTLE = float(os.environ.get("REAPER_TEST_SETTLE", "15"))


def listing(machine, top, passing=()):
    """Every file below top: kind, path, and what a link or device points to."""
    root = str(machine.path("/")).rstrip("/")
    skip = [re.compile(p) for p in passing]
    found = set()
    pending = [top]
    while pending:
        directory = pending.pop()
        try:
            entries = list(os.scandir(f"{root}{directory}"))
        except OSError:
            continue
        for entry in entries:
            path = f"{directory}/{entry.name}"
            if any(s.search(path) for s in skip) or re.search(KEPT, path):
                if re.search(KEPT, path):
                    pending.append(path)
                continue
            try:
                status = entry.stat(follow_symlinks=False)
                target = os.readlink(entry.path) if entry.is_symlink() else ""
            except OSError:
                continue
            kind = {0o04: "dir", 0o10: "file", 0o12: "link", 0o14: "socket", 0o01: "fifo"}.get(
                status.st_mode >> 12, "device"
            )
            if kind == "device":
                target = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
            found.add(f"{kind} {path} {target}".strip())
            if kind == "dir":
                pending.append(path)
    return found


def reap(machine):
    """On the host this process is the parent of orphans: their ends are to be taken note of."""
    if machine.kind != "host":
        return
    for pid in machine.processes():
        stat = stat_of(pid)
        if stat and stat[0] == "Z" and stat[1] == os.getpid():
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def processes(machine):
    reap(machine)
    found = set()
    for pid in machine.processes():
        stat = stat_of(pid)
        name = comm(pid)
        if stat is None or name == "containerd":
            continue
        try:
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        found.add(f"{pid} (parent {stat[1]}, {stat[0]}) {name}: {command.strip()}"
                  if stat[0] == "Z" else f"{pid} {name}: {command.strip()}")
    return found


def mounts(pid):
    """Each mount without its numbers, which differ from one moment to the next, and without those
    of the container engine and of the caches (a virtual machine's root is made there in the
    background), which come and go with anybody's containers."""
    lines = collections.Counter()
    caches = re.escape(os.environ.get("REAPER_CI_STATE", "/var/lib/reaper-ci"))
    engine = re.compile(rf"^{caches}/|/run/docker/netns/|/overlay2/[0-9a-f]{{64}}(-init)?/merged$|/containers/[0-9a-f]{{64}}/mounts/")
    for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        # of the optional fields only whether the mount is shared or a slave, not of whom
        flags = ",".join(sorted(f.split(":")[0] for f in fields[6:]))
        if engine.search(fields[4]):
            continue
        lines[f"{fields[4]} root {fields[3]} {right} {fields[5]} {flags}"] += 1
    return {f"{line} x{n}" if n > 1 else line for line, n in lines.items()}


def cgroups(machine):
    top = machine.path("/sys/fs/cgroup")
    found = set()
    for directory, children, _ in os.walk(top):
        path = "/" + os.path.relpath(directory, top)
        # the engine's, and those of whoever started this machine's sessions
        if machine.kind == "host" and re.fullmatch(r"/([^/]+/)?(docker|process_api|reaper-(unit|flow)-\d+)", path):
            children.clear()
            continue
        if machine.kind == "node" and re.search(r"\.(service|scope|slice|mount|socket)$", path) and "kube" not in path:
            # systemd's own; containers and pods that use them are told by their names below
            if not re.search(r"(system\.slice|-\.slice|init\.scope)$", path):
                children.clear()
        found.add(path)
    return found


def temporary(machine):
    if machine.kind == "host":
        # the machine's users have files there too
        tops = listing_top(machine, "/tmp") | listing_top(machine, "/var/tmp")
        return {f for f in tops if re.search(r"/(containerd|ctr|shim|reaper-(runtime|shim))", f)}
    return listing(machine, "/tmp", [r"/systemd-private-"]) | listing(machine, "/var/tmp", [r"/systemd-private-"])


def listing_top(machine, top):
    return {f"{top}/{name}" for name in os.listdir(machine.path(top))}


def work_directories(machine):
    return listing(machine, f"{machine.data}/io.containerd.runtime.v2.task")


def take(machine):
    passing = PASSING[machine.kind] + [re.escape(machine.socket), r"/run/reaper-test-[^/]*/containerd\.log$"]
    return {
        "process": processes(machine),
        "mount": mounts(machine.mounts_pid()) | mounts(machine.containerd_pid()),
        "cgroup": cgroups(machine),
        "run": listing(machine, "/run", passing),
        "dev": listing(machine, "/dev", passing),
        "temporary file": temporary(machine),
        "work directory": work_directories(machine),
    }


def differences(before, after):
    lines = []
    for what in before:
        lines += [f"left: {what} {x}" for x in sorted(after[what] - before[what])]
        lines += [f"gone: {what} {x}" for x in sorted(before[what] - after[what])]
    return lines


def collect_groups(machine):
    """Takes the shared overlay groups away; there must be no pod."""
    result = machine.run("sh", "-c", "command -v reaperctl >/dev/null || exit 0; reaperctl overlay gc --all", check=False)
    return "" if result.returncode == 0 else f"reaperctl overlay gc --all: {result.returncode}: {result.stderr.strip()}"


def settle(machine, before, passing=lambda line: False):
    """Waits until the machine is as it was; returns what differs when it is not, but for lines that `passing` knows."""
    end = time.monotonic() + SETTLE
    while True:
        trouble = collect_groups(machine)
        lines = [line for line in differences(before, take(machine)) if not passing(line)] + ([trouble] if trouble else [])
        if not lines or time.monotonic() > end:
            return lines
        time.sleep(0.1)
