"""`reaperctl containerd` is killed, or its calls fail, at every place: nothing is half-written, and the
next run completes or restores."""

import collections
import os
import pathlib
import stat
import subprocess

import pytest

from faults import sample, sysfault
from machine import BINARIES, SOURCE, run
from trees import remove_tree

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
        if other.root.exists():
            remove_tree(other.root)
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
        remove_tree(probe.root)


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
        remove_tree(tree.root)


def start_of(tree, expected, command):
    """The tree on which the command is disturbed."""
    return tree if command == "apply" else expected.applied_tree


def kill_everywhere(tree, command, call, choose):
    expected = Expected(tree)
    start = start_of(tree, expected, command)
    calls = sysfault(start.copy("count").argv(command), call=call).calls
    assert calls > 20
    failures, missed = [], 0
    for n in choose(calls):
        broken = start.copy("broken")
        report = sysfault(broken.argv(command), call=call, at=n, action="kill")
        # how many calls it takes to read /proc depends on who else is there: a run may end before call n
        missed += report.hit == 0
        try:
            assert (report.status, report.hit) == ((137, n) if report.hit else (0, 0))
            completes_or_restores(broken, expected)
        except AssertionError as error:
            failures.append(f"{command} killed at {n} of {calls} ({report.call}): {error}")
    assert not failures, "\n".join(failures[:5])
    assert missed <= calls // 10, f"{command}: {missed} of {calls} calls were never made"


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
    # not brk: the kernel answers it with an address and never with an error, and so libc takes one for an address
    ("ENOMEM", ["mmap", "clone3", "clone", "openat", "read"]),
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
        # where there is no /proc (an image that is being built) it is left for later
        assert now == done or "/proc is not mounted" in report.stdout + report.stderr
        return
    assert now == start or report.status == 5, f"exit {report.status}, but it was changed: {report.stderr}"
    lines = report.stderr.splitlines()
    if mute and not lines:
        return
    assert lines[0].startswith("reaperctl: E_"), report.stderr
    assert sum(line.startswith("reaperctl: ") for line in lines) == 1
    assert sum(line.split()[:1] in (["next"], ["next:"]) for line in lines) == 1, report.stderr


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


# --- somebody else at the same time -----------------------------------------------------------


def in_parallel(tree, commands):
    processes = [
        subprocess.Popen([str(word) for word in tree.argv(command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for command in commands
    ]
    output = [process.communicate(timeout=300)[0].decode() for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, output)]


@pytest.mark.submission("a package, a playbook and a person may apply at the same time")
def test_two_applies_write_one_block(tmp_path):
    tree = make_tree("file", tmp_path)
    expected = Expected(tree)
    for _ in range(3):
        results = in_parallel(tree, ["apply"] * 4)
        assert [status for status, _ in results] == [0] * 4, results
        assert sum("was added" in text for _, text in results) == 1, results
        assert tree.bytes() == expected.applied
        tree.run("undo")
        assert tree.bytes() == tree.original


@pytest.mark.submission("whoever comes last wins, and the file is whole")
def test_apply_against_undo(tmp_path):
    tree = make_tree("file", tmp_path)
    expected = Expected(tree)
    for _ in range(4):
        results = in_parallel(tree, ["apply", "undo", "apply", "undo"])
        assert {status for status, _ in results} <= {0, 6}, results
        assert tree.bytes() in (tree.original, expected.applied)
        assert not list(tree.config.parent.glob(".*"))


@pytest.mark.submission("what an editor writes between our reading and our writing must not be lost")
@pytest.mark.parametrize("kind", ["file", "linked"])
@pytest.mark.parametrize("command", ["apply", "undo"])
def test_an_editor_writes_in_between(tmp_path, kind, command):
    tree = make_tree(kind, tmp_path)
    expected = Expected(tree)
    start = start_of(tree, expected, command)
    calls = sysfault(start.copy("count").argv(command)).calls
    for n in sample(calls, 12):
        broken = start.copy("broken")
        edit = f"grep -q edited {broken.config} || printf '# edited\\n' >> {broken.config}"
        report = sysfault(broken.argv(command), at=n, action="run", script=edit)
        if report.hit == 0 or (kind == "linked" and report.call in ("pwrite64", "ftruncate")):
            # not that many calls this time; or between the last look and a write into the file itself, where
            # nothing can help
            continue
        now = broken.bytes()
        assert b"# edited\n" in now, f"{command} at {n} of {calls} ({report.call}) lost the editor's line"
        # in time: done with the editor's text in it; too late for that: refused as changed by somebody else
        assert report.status in (0, 6), report.stderr
        broken.run("undo")
        assert broken.bytes() == tree.original + b"# edited\n", f"{command} at {n} of {calls} ({report.call})"


# --- files that are not just files ------------------------------------------------------------


def refused(tree, command="apply"):
    before = tree.census()
    result = tree.run(command, 3)
    assert tree.census() == before
    assert result.stderr.startswith("reaperctl: E_"), result.stderr
    return result.stderr


def applied_and_undone(tree):
    expected = tree.census()
    tree.run("apply")
    assert b"reaper-v2" in tree.bytes()
    tree.run("verify")
    tree.run("undo")
    assert tree.bytes() == tree.original
    assert files(tree.census()) == files(expected)


@pytest.mark.submission("links are followed below the root, and stay links")
def test_a_chain_of_links(tmp_path):
    tree = make_tree("symlink", tmp_path)
    applied_and_undone(tree)
    assert tree.config.is_symlink() and (tree.root / "srv/hop").is_symlink()


@pytest.mark.submission("two names of one file stay two names of one file")
def test_hard_links(tmp_path):
    tree = make_tree("linked", tmp_path)
    applied_and_undone(tree)
    assert tree.config.stat().st_nlink == 2


@pytest.mark.submission("owner, mode, ACL and attributes (SELinux's label is one) survive the atomic replace")
def test_owner_and_attributes(tmp_path_factory):
    # /dev/shm and /run have no user attributes on older kernels; trusted.* is as good for root
    tree = Tree(tmp_path_factory.mktemp("attributes") / "root")
    os.chown(tree.config, 1234, 4321)
    tree.config.chmod(0o604)
    # user::rw-, user:1000:r--, group::r--, mask::r--, other::---  (struct posix_acl_xattr_header, version 2)
    acl = bytes.fromhex("02000000" "01000600ffffffff" "02000400e8030000" "04000400ffffffff" "10000400ffffffff" "20000000ffffffff")
    wanted = {"user.note": b"x" * 100, "trusted.label": b"system_u:object_r:container_config_t:s0", "system.posix_acl_access": acl}
    kept = {}
    for name, value in wanted.items():
        try:
            os.setxattr(tree.config, name, value)
            kept[name] = value
        except OSError:
            pass  # this file system has none of the kind
    before = tree.config.stat()

    def check():
        now = tree.config.stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert {name: os.getxattr(tree.config, name) for name in kept} == kept
        assert set(os.listxattr(tree.config)) >= set(kept)

    inode = before.st_ino
    tree.run("apply")
    assert tree.config.stat().st_ino != inode, "it was not replaced: this proves nothing"
    check()
    tree.run("undo")
    check()
    assert kept, "no attribute at all can be set here"


@pytest.fixture
def mounted(tmp_path):
    made = []

    def mount(*argv):
        run(["mount", *argv])
        if not any("remount" in str(word) for word in argv):
            made.append(argv[-1])

    yield mount
    for path in reversed(made):
        run(["umount", path])


@pytest.mark.submission("a bind-mounted file cannot be replaced: it is written into")
def test_a_bind_mounted_file(tmp_path, mounted):
    tree = make_tree("file", tmp_path)
    source = tmp_path / "source"
    source.write_bytes(tree.original)
    source.chmod(0o640)
    mounted("--bind", source, tree.config)
    expected = files(tree.census())
    tree.run("apply")
    assert b"reaper-v2" in source.read_bytes()
    tree.run("undo")
    assert source.read_bytes() == tree.original
    assert files(tree.census()) == expected


@pytest.mark.submission("a read-only file system is told before anything is written")
def test_a_read_only_file_system(tmp_path, mounted):
    tree = make_tree("file", tmp_path)
    mounted("--bind", tree.config.parent, tree.config.parent)
    mounted("-o", "remount,bind,ro", tree.config.parent)
    try:
        assert "Read-only file system" in refused(tree)
    finally:
        run(["mount", "-o", "remount,bind,rw", tree.config.parent])


@pytest.mark.submission("a full disk: the file stays whole, and it works when there is room again")
@pytest.mark.parametrize("kind", ["file", "linked"])
def test_a_full_disk(tmp_path, mounted, kind):
    (tmp_path / "disk").mkdir()
    mounted("-t", "tmpfs", "-o", "size=256k", "none", tmp_path / "disk")
    tree = make_tree(kind, tmp_path / "disk")
    filler = tmp_path / "disk/filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    error = refused(tree)
    assert "No space left on device" in error
    filler.unlink()
    applied_and_undone(tree)


@pytest.mark.submission("an immutable file is told before anything is written")
def test_an_immutable_file(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("immutable") / "root")
    set_flag = run(["chattr", "+i", tree.config], check=False)
    if set_flag.returncode != 0:
        pytest.skip("no immutable files on this file system")
    try:
        assert "Operation not permitted" in refused(tree)
    finally:
        run(["chattr", "-i", tree.config])
    applied_and_undone(tree)
