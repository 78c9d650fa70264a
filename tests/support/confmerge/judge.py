"""Real daemons as judges: what `containerd config dump` says of a tree, compared as trees."""

import copy
import functools
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import tomllib

from cri.client import Cri, CriError
from trees import remove_tree

ROOT = pathlib.Path(__file__).parents[3]
CACHE = pathlib.Path(os.environ.get("REAPER_CI_STATE", "/var/lib/reaper-ci")) / "containerd"
CRI = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "cri"]
DEBIAN = {"1.6": "bookworm", "1.7": "trixie", "2.1": "forky"}
BUILT = ["2.2", "2.3", "2.4"]
VERSIONS = [*DEBIAN, *BUILT]
# in no release that is looked after, and the first that reads a version 2 file as its successors do
OLDEST = "1.4"


def call(*argv, **options):
    return subprocess.run([str(a) for a in argv], capture_output=True, check=True, **options).stdout.decode()


def oldest():
    """containerd 1.4 of Debian 11's archive, which the machine's own apt is kept out of."""
    path = CACHE / "bullseye" / "containerd"
    if path.exists():
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        pathlib.Path(work, "lists/partial").mkdir(parents=True)
        pathlib.Path(work, "sources.list").write_text(
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bullseye main\n")  # fmt: skip
        options = [f"Dir::Etc::sourcelist={work}/sources.list", "Dir::Etc::sourceparts=-", f"Dir::State::lists={work}/lists",
                   f"Dir::Cache={work}", "Dir::State::status=/dev/null", "APT::Sandbox::User=root",
                   "Acquire::Check-Valid-Until=false", "Acquire::Languages=none"]  # fmt: skip
        apt = ["apt-get", "-q", *(word for option in options for word in ("-o", option))]
        call(*apt, "update")
        call(*apt, "download", "containerd", cwd=work)
        call("sh", "-c", f"dpkg-deb -x {work}/containerd_*.deb {work}/root")
        os.rename(f"{work}/root/usr/bin/containerd", path)
    return str(path)


@functools.cache
def program(version):
    """containerd of that version: Debian's out of its node image, the newer ones built."""
    if version == OLDEST:
        return oldest()
    if version not in DEBIAN:
        return call(ROOT / "ci/containerd/build.sh", version).strip() + "/containerd"
    image = call(ROOT / "ci/node-image.sh", DEBIAN[version]).strip()
    path = CACHE / image.replace(":", "-") / "containerd"
    if path.exists():
        return str(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    container = call("docker", "create", image, "true").strip()
    try:
        call("docker", "cp", f"{container}:/usr/bin/containerd", f"{path}.{os.getpid()}")
    finally:
        call("docker", "rm", container)
    os.rename(f"{path}.{os.getpid()}", path)
    return str(path)


@functools.cache
def default(version):
    return call(program(version), "config", "default")


def dump(version, tree):
    """The daemon's view of the tree's configuration as it would read it on a node, or None."""
    if not (tree / "etc/containerd/config.toml").exists():
        return tomllib.loads(default(version))
    # its absolute imports mean the tree: in a mount namespace it is /etc/containerd; a service works in /
    script = 'mount --bind "$1/etc/containerd" /etc/containerd && exec "$2" -c /etc/containerd/config.toml config dump'
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", str(tree), program(version)],
                            capture_output=True, timeout=900, cwd="/")  # fmt: skip
    if result.returncode != 0:
        return None
    return tomllib.loads(result.stdout.decode())


# The daemon with the tree's configuration and nothing else of this machine: state in memory, no network.
START = """mount -t tmpfs -o mode=755 none /run && mount -t tmpfs none /opt && 
if [ -d "$1/etc/containerd" ]; then mount --bind "$1/etc/containerd" /etc/containerd; else mount -t tmpfs none /etc/containerd; fi &&
exec "$2" --root "$3/root" --state "$3/state" --address "$3/socket" --log-level error"""


def served(version, tree):
    """The runtime handlers of a daemon that was started with the tree's configuration; None if it or its
    CRI plugin does not come up."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="reaper-daemon-", dir="/dev/shm"))
    argv = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "sh", "-c", START, "sh", tree, program(version), work]
    with open(work / "log", "wb") as log:
        daemon = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        return ask(daemon, work / "socket")
    finally:
        daemon.kill()
        daemon.wait()
        remove(work)


def ask(daemon, socket):
    """A socket that nobody announces: it is looked for until it is there or the daemon has ended."""
    while daemon.poll() is None:
        with Cri(f"unix://{socket}") as cri:
            try:
                return set(json.loads(cri.call("Status", deadline=20, verbose=True).info["config"])["containerd"]["runtimes"])
            except CriError as error:
                if error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED") and "not initialized" not in error.details:
                    return None  # the daemon serves, and the plugin is not loaded
                time.sleep(0.05)
    return None


def runtimes(view):
    for name in CRI:
        plugin = view.get("plugins", {}).get(name, {})
        if "containerd" in plugin:
            return plugin["containerd"].setdefault("runtimes", {})
    raise AssertionError("no CRI plugin in the dump")


def default_runtime(view):
    for name in CRI:
        plugin = view.get("plugins", {}).get(name, {})
        if "containerd" in plugin:
            return plugin["containerd"].get("default_runtime_name")
    return None


def version(text):
    return tomllib.loads(text.decode()).get("version")


def plugins(text):
    return tomllib.loads(text.decode()).get("plugins", {})


def healthy(view):
    """Whether the CRI plugin would start: it is there, and so is its default runtime."""
    for name in CRI:
        plugin = view.get("plugins", {}).get(name, {})
        if "containerd" in plugin:
            return plugin["containerd"].get("default_runtime_name") in plugin["containerd"].get("runtimes", {})
    return False


def spelled(found):
    """(name, lines) of each runtime of a view, without its zero values."""
    for name, table in found.items():
        table = without_zeros(table)
        options = table.pop("options", {})
        yield f'"{name}"', "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items()) + "".join(
            f'"options"."{k}" = {json.dumps(v)}\n' for k, v in options.items())  # fmt: skip


def without_zeros(value):
    """A runtime that is written down lacks the zero values that a built-in one is printed with."""
    if isinstance(value, dict):
        items = {k: without_zeros(v) for k, v in value.items()}
        return {k: v for k, v in items.items() if v not in ("", 0, False, [], {}, "podsandbox")}
    return value


def split(view, handler):
    """(everything but our runtime, our runtime without its zero values or None)."""
    view = copy.deepcopy(view)
    view.pop("imports", None)  # 1.x lists the file itself; 2.x the patterns' matches
    view.pop("version", None)
    table = runtimes(view)
    ours = table.pop(handler, None)
    for name in table:
        table[name] = without_zeros(table[name])
    return view, ours if ours is None else without_zeros(ours)


EXACTLY = {
    "runtime_type": "io.containerd.reaper.v2",
    "pod_annotations": ["reaper.runtime/*"],
    "container_annotations": ["reaper.runtime/*"],
}


def census(tree, times=True, skip=()):
    """Every path below the tree: kind, mode, owner, links, bytes, extended attributes; and times."""
    found = {}
    for path in sorted(tree.rglob("*")):
        name = str(path.relative_to(tree))
        if any(name == s or name.startswith(s + "/") for s in skip):
            continue
        st = path.lstat()
        what = os.readlink(path) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        attributes = [] if path.is_symlink() else [(a, os.getxattr(path, a)) for a in sorted(os.listxattr(path))]
        found[name] = (oct(st.st_mode), st.st_uid, st.st_gid, what, attributes,
                       (st.st_mtime_ns, st.st_ino) if times and not path.is_dir() else None)  # fmt: skip
    return found


def remove(tree):
    if os.path.lexists(tree):
        remove_tree(tree)


def new_tree():
    """A fixture's generator: an empty tree, in memory where that is possible, for the program syncs
    every file that it writes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="reaper-merge-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    yield path
    subprocess.run(["chattr", "-R", "-i", str(path)], capture_output=True)
    remove(path)
