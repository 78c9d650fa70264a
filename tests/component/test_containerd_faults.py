"""`reaperctl containerd` is killed, or its calls fail, at every place: nothing is half-written, and the
next run completes or restores."""

import collections
import hashlib
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

from faults import sysfault
from machine import BINARIES, SOURCE, run

REAPERCTL = BINARIES / "reaperctl"
CONTAINERD = SOURCE / "tests/support/fake-containerd"
CONFIG = "etc/containerd/config.toml"
STATE = "var/lib/reaper/containerd"

# calls that change something; a kill between two others leaves what a kill at the next of these leaves
CHANGING = """write pwrite64 writev ftruncate truncate open openat openat2 creat rename renameat renameat2 link linkat
    unlink unlinkat rmdir mkdir mkdirat symlink symlinkat chmod fchmod fchmodat chown fchown fchownat setxattr
    fsetxattr removexattr fremovexattr fsync fdatasync flock utimensat copy_file_range sendfile fallocate""".split()

ORIGINAL = run([CONTAINERD, "config", "default"]).stdout.encode() + b"# the site's own\n[debug]\nlevel = 'info'\n"


class Tree:
    """A root with (or, without bytes, without) containerd's configuration."""

    def __init__(self, root, original=ORIGINAL):
        self.root = root
        self.config = root / CONFIG
        root.mkdir()
        if original is not None:
            self.config.parent.mkdir(parents=True)
            self.config.write_bytes(original)
            self.config.chmod(0o640)
        self.original = self.bytes()

    def bytes(self):
        config = self.config
        if config.is_symlink():
            config = self.root / "srv/real.toml"
        return config.read_bytes() if config.exists() else None

    def argv(self, command):
        return [REAPERCTL, "containerd", command, "--root", self.root, "--containerd", CONTAINERD]

    def run(self, command, status=0):
        result = run(self.argv(command), check=False)
        assert result.returncode == status, f"{command}: {result.returncode}: {result.stderr}{result.stdout}"
        return result

    def copy(self, name):
        """Another tree with the same files, owners and links."""
        other = Tree.__new__(Tree)
        other.__dict__.update(self.__dict__, root=self.root.parent / name)
        shutil.rmtree(other.root, ignore_errors=True)
        run(["cp", "-a", self.root, other.root])
        other.config = other.root / CONFIG
        return other

    def census(self):
        """What is there: names, kinds, modes, owners, bytes; the backups by their bytes alone."""
        found = collections.Counter()
        for path in sorted(self.root.rglob("*")):
            status = path.lstat()
            name = str(path.relative_to(self.root))
            if name.startswith(f"{STATE}/backups/"):
                name = f"{STATE}/backups/*"
            elif name == f"{STATE}/journal":
                # its time and the backup's name differ
                found[name, stat.S_IMODE(status.st_mode)] += 1
                continue
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            links = status.st_nlink if path.is_file() else 0
            found[name, stat.filemode(status.st_mode), status.st_uid, status.st_gid, links, content] += 1
        return found


def make_tree(kind, tmp_path):
    tree = Tree(tmp_path / "root", None if kind == "none" else ORIGINAL)
    if kind == "linked":
        # a rename would split the names: the bytes are written into the file
        os.link(tree.config, tree.config.with_name("other-name"))
    if kind == "symlink":
        real = tree.root / "srv/real.toml"
        real.parent.mkdir()
        tree.config.rename(real)
        (tree.root / "srv/hop").symlink_to("real.toml")
        tree.config.symlink_to("/srv/hop")  # absolute: must stay below the root
    return tree


@pytest.fixture(params=["file", "none", "linked"])
def tree(request, tmp_path):
    return make_tree(request.param, tmp_path)


class Expected:
    """What undisturbed runs make of a tree."""

    def __init__(self, tree):
        probe = tree.copy("probe")
        probe.run("apply")
        self.applied_tree = probe.copy("applied")
        self.applied, self.applied_census = probe.bytes(), probe.census()
        probe.run("undo")
        assert probe.bytes() == tree.original
        self.undone_census = probe.census()
        probe.run("apply")
        self.again_census = probe.census()
        shutil.rmtree(probe.root)


def files(census):
    """Without the state, of which an interrupted run may keep another backup."""
    return {entry: n for entry, n in census.items() if not entry[0].startswith("var")}


def state_is_clean(tree):
    """Only the journal and backups, closed to others."""
    state = tree.root / STATE
    names = {path.name for path in state.iterdir()} if state.exists() else set()
    assert names <= {"journal", "backups"}
    for path in state.rglob("*") if state.exists() else ():
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def completes_or_restores(broken, expected):
    """After an interrupted run: both ways are open, and each ends as an undisturbed run does."""
    assert broken.bytes() in (broken.original, expected.applied), "half-written"
    there, back = broken.copy("there"), broken.copy("back")
    there.run("apply")
    assert there.bytes() == expected.applied
    assert files(there.census()) == files(expected.applied_census)
    state_is_clean(there)
    there.run("verify")
    there.run("undo")
    back.run("undo")
    for tree in (there, back):
        assert tree.bytes() == broken.original
        assert files(tree.census()) == files(expected.undone_census)
        state_is_clean(tree)
        shutil.rmtree(tree.root)


def commit_id():
    result = run(["git", "-C", SOURCE, "rev-parse", "HEAD"], check=False)
    return result.stdout.strip() or "no commit"


def sample(calls, count):
    """Numbers from 1 to calls, others for each commit."""
    by_hash = lambda n: hashlib.sha256(f"{commit_id_once} {n}".encode()).digest()
    return sorted(sorted(range(1, calls + 1), key=by_hash)[:count])


commit_id_once = commit_id()


def start_of(tree, expected, command):
    """The tree on which the command is disturbed."""
    return tree if command == "apply" else expected.applied_tree


def kill_everywhere(tree, command, call, choose):
    expected = Expected(tree)
    start = start_of(tree, expected, command)
    calls = sysfault(start.copy("count").argv(command), call=call).calls
    assert calls > 20
    failures = []
    for n in choose(calls):
        broken = start.copy("broken")
        report = sysfault(broken.argv(command), call=call, at=n, action="kill")
        try:
            assert report.status == 137 and report.hit == n
            completes_or_restores(broken, expected)
        except AssertionError as error:
            failures.append(f"{command} killed at {n} of {calls} ({report.call}): {error}")
    assert not failures, "\n".join(failures[:5])


@pytest.mark.submission("kill -9 at a call that changes something must never leave half a configuration")
@pytest.mark.parametrize("command", ["apply", "undo"])
def test_killed_where_something_changes(tree, command):
    kill_everywhere(tree, command, CHANGING, lambda calls: sample(calls, 8))


@pytest.mark.full("kill -9 at every system call of an apply and of an undo")
@pytest.mark.parametrize("command", ["apply", "undo"])
def test_killed_at_every_call(tree, command):
    kill_everywhere(tree, command, [], lambda calls: range(1, calls + 1))


# call, and what it can fail with
FAILING = [
    ("ENOSPC", ["openat", "openat2", "write", "pwrite64", "mkdir", "fsync", "ftruncate", "fallocate", "renameat", "rename"]),
    ("EROFS", ["openat", "mkdir", "rename", "renameat", "renameat2", "unlink", "unlinkat", "fchmod", "fchown", "access",
               "faccessat", "faccessat2"]),
    ("EIO", ["read", "write", "fsync", "openat", "openat2", "rename", "renameat", "renameat2", "newfstatat", "fstat",
             "getdents64", "lseek", "ftruncate", "unlink", "readlink", "readlinkat", "flistxattr"]),
    ("EMFILE", ["openat", "openat2", "pipe2", "memfd_create", "fcntl"]),
    ("ENOMEM", ["brk", "mmap", "clone3", "clone", "openat", "read"]),
    ("EPERM", ["rename", "renameat", "fchown", "fchmod", "flock", "clone3"]),
]  # fmt: skip


def check_failed(broken, expected, report, command, onwards, mute):
    """One clear error, the right exit status, and the file whole. `onwards`: what would take the change
    back fails too; `mute`: so may what would say it."""
    now = broken.bytes()
    done = expected.applied if command == "apply" else broken.original
    start = broken.original if command == "apply" else expected.applied
    assert report.status in (0, 3, 4, 6) or (onwards and report.status == 5), f"exit {report.status}: {report.stderr}"
    assert now in (start, done), f"half-written: {report.stderr}"
    if report.status == 0:
        assert now == done
        return
    assert now == start or report.status == 5, f"exit {report.status}, but it was changed: {report.stderr}"
    lines = report.stderr.splitlines()
    if mute and not lines:
        return
    assert lines[0].startswith("reaperctl: E_"), report.stderr
    assert sum(line.startswith("reaperctl: ") for line in lines) == 1
    assert sum(line.startswith("  next: ") for line in lines) == 1


def fail_everywhere(tree, command, fault, calls, choose):
    expected = Expected(tree)
    start = start_of(tree, expected, command)
    total = sysfault(start.copy("count").argv(command), call=calls).calls
    assert total > 0
    failures = []
    for n in choose(total):
        # once, and from there on for good: a disk that is full stays full
        for at in (str(n), f"{n}+"):
            broken = start.copy("broken")
            report = sysfault(broken.argv(command), call=calls, at=at, action=fault)
            try:
                check_failed(broken, expected, report, command, "+" in at, report.call == "write" or "+" in at)
                completes_or_restores(broken, expected)
            except AssertionError as error:
                failures.append(f"{command}, {fault} at {at} of {total} ({report.call}): {error}")
    assert not failures, f"{len(failures)}: " + "\n".join(failures[:6])


@pytest.mark.submission("a full disk, a dying disk, no descriptors: a clear error, and nothing half-written")
@pytest.mark.parametrize("fault, calls", FAILING[:3])
@pytest.mark.parametrize("command", ["apply", "undo"])
def test_fails_cleanly(tmp_path, command, fault, calls):
    fail_everywhere(Tree(tmp_path / "root"), command, fault, calls, lambda total: sample(total, 4))


@pytest.mark.full("every call that can fail fails, with each error it can have")
@pytest.mark.parametrize("fault, calls", FAILING)
@pytest.mark.parametrize("command", ["apply", "undo"])
def test_fails_cleanly_everywhere(tree, command, fault, calls):
    fail_everywhere(tree, command, fault, calls, lambda total: range(1, total + 1))
