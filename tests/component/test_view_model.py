"""Random file operations of many containers, each group against a model: a plain directory that gets the same.

What a container of a group does, each other one of the group sees, and nobody else; every call answers what a plain file
system answers, EXDEV for a directory of the host's excepted (OVERLAY_DESIGN, "What is not promised"); the host's tree stays
as it was, to the inode and its times.
"""

import contextlib
import json
import os
import pathlib
import random
import select
import shlex
import struct
import subprocess
import sys
import tempfile

import fileops
import layer
import pytest

from bench import spec
from faults import commit_id
from overlays import changes
from running import mounted, plain_pod, said
from trees import remove_tree

SOURCE = pathlib.Path(fileops.__file__).read_text()
NAMES = ["a", "b", "c", "d e", "\udcff", "ö", "-x", "n" * 120]
OLD = 500_000_000 * 10**9  # ns; so long ago that the times of today are none
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0).hex()  # CAP_NET_BIND_SERVICE


class Worker:
    """fileops.py at work, spoken to through two descriptors."""

    def __init__(self, write, read):
        self.write, self.read, self.left = write, read, b""

    def ask(self, *words):
        text = json.dumps(words).encode() + b"\n"
        while text:
            text = text[os.write(self.write, text) :]

    def answer(self):
        while b"\n" not in self.left:
            ready, _, _ = select.select([self.read], [], [], 120)
            piece = os.read(self.read, 1 << 16) if ready else b""
            assert piece, f"the worker says nothing more after {self.left[-300:]}"
            self.left += piece
        line, _, self.left = self.left.partition(b"\n")
        found = json.loads(line)
        assert not (isinstance(found, str) and found.startswith("Traceback")), found
        return found

    def do(self, *words):
        self.ask(*words)
        return self.answer()

    def close(self):
        os.close(self.write)
        os.close(self.read)


def argv(top):
    return [sys.executable, "-I", "-S", "-c", SOURCE, str(top)]


class Model(Worker):
    """The plain directory of a group."""

    def __init__(self, host, top):
        subprocess.run(["cp", "-a", host, top], check=True)
        self.process = subprocess.Popen(argv(top), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        super().__init__(self.process.stdin.fileno(), self.process.stdout.fileno())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Pod(Worker):
    """A pod of a group, whose command does what it is told."""

    def __init__(self, bench, number, group, top):
        self.bench, self.group, self.top, self.number, self.lives = bench, group, top, number, 0
        self.begin()

    def begin(self):
        self.lives += 1
        name = f"pod{self.number}life{self.lives}"
        self.bench.settings["REAPER_OVERLAY_ISOLATION"] = self.group.scope
        annotations = {
            "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": name,
            "io.kubernetes.cri.sandbox-namespace": self.group.namespace, "io.kubernetes.cri.sandbox-name": name,
            **self.group.annotations,
        }  # fmt: skip
        pod = plain_pod()
        pod["process"]["env"] = [*spec("x")["process"]["env"], "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"]
        self.container = self.bench.container(*argv(self.top), name=name, annotations=annotations, **pod)
        stdin, stdout, stderr = (self.container.fifo(stream) for stream in ("stdin", "stdout", "stderr"))
        read = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
        self.errors = os.open(stderr, os.O_RDONLY | os.O_NONBLOCK)
        pid = self.container.create(stdin=stdin, stdout=stdout, stderr=stderr)
        self.view = pathlib.Path(f"/proc/{pid}/root{self.top}")
        super().__init__(os.open(stdin, os.O_WRONLY), read)
        self.container.call("Start")

    def end(self):
        self.container.call("Kill", signal=9, all=True)
        self.container.call("Wait")
        self.close()
        os.close(self.errors)
        self.container.end()

    def again(self):
        """Its next one: another container of the group."""
        self.end()
        self.begin()


class Group:
    """Pods that share a view, and what they must see there."""

    def __init__(self, bench, host, number, scope, namespace, pods, name=None):
        self.scope, self.namespace = scope, namespace
        self.key = ".".join(filter(None, [scope, namespace if scope == "namespace" else None, name]))
        self.annotations = {"reaper.runtime/overlay-name": name} if name else {}
        self.top = bench.directory / f"model{number}"
        self.model = Model(host, self.top)
        # directories of the host's that are still there: they cannot be renamed
        self.host_directories = {path for path, found in self.model.do(0, "tree", ".").items() if "names" in found}
        self.pods = [Pod(bench, f"{number}n{n}", self, host) for n in range(pods)]
        if scope == "pod":
            self.key = f"pod.component.{self.pods[0].container.name}"

    def paths(self):
        found = {"directories": [], "others": []}
        for directory, names, files in os.walk(os.fsencode(self.top)):
            below = os.path.relpath(directory, os.fsencode(self.top))
            found["directories"].append(os.fsdecode(below))
            links = [n for n in names if os.path.islink(os.path.join(directory, n))]
            found["others"] += [os.fsdecode(os.path.normpath(os.path.join(below, n))) for n in files + links]
        return sorted(found["directories"]), sorted(found["others"])

    def step(self, rng):
        """One operation of one pod, and what another one sees of it."""
        uid, name, *words = words_of(rng, *self.paths())
        pod = rng.choice(self.pods)
        said = pod.do(uid, name, *words)
        if name == "rename" and not self.may_rename(*words):
            assert said is not None, f"{words}: a directory of the host's was renamed"
            if said == "EXDEV":
                return
        expected = self.model.do(uid, name, *words)
        assert said == expected, f"{uid} {name} {words}: {said}, and a plain file system: {expected}"
        if said is None and (name == "rmdir" or name == "rename" and words[0] != words[1]):
            self.host_directories.discard(words[name == "rename"])
        witness = rng.choice(self.pods)
        for path in {w for w in words[:2] if isinstance(w, str)} | {os.path.dirname(words[0]) or "."}:
            seen, expected = witness.do(0, "look", path), self.model.do(0, "look", path)
            assert seen == expected, f"{uid} {name} {words}, then {path}: {seen}, and on a plain file system: {expected}"

    def may_rename(self, path, target, flags):
        return path == target or not self.host_directories & ({path, target} if flags & fileops.EXCHANGE else {path})

    def compare(self):
        expected = self.model.do(0, "tree", ".")
        for pod in self.pods:
            seen = pod.do(0, "tree", ".")
            wrong = [f"{p!r}: {seen.get(p)} is {expected.get(p)}" for p in {**seen, **expected} if seen.get(p) != expected.get(p)]
            assert not wrong, "\n".join(wrong[:5])

    def close(self):
        for pod in self.pods:
            pod.end()
        self.model.close()
        remove_tree(self.top)


def words_of(rng, directories, others):
    """A random operation: mostly one that works, now and then any."""
    existing = rng.choice(others or directories) if rng.random() < 0.8 else rng.choice(directories)
    directory = rng.choice(directories)
    new = os.path.normpath(os.path.join(rng.choice(directories), rng.choice(NAMES) + str(rng.randrange(6))))
    text = rng.choice("xyz") * rng.choice([0, 1, 100, 9000])
    name, words = rng.choice([
        ("create", [new, text, rng.choice([0o600, 0o644, 0o755, 0o4755])]),
        ("mkdir", [new, rng.choice([0o700, 0o755, 0o777])]),
        ("symlink", [new, rng.choice(NAMES)]),
        ("mkfifo", [new]),
        ("link", [existing, new]),
        ("write", [existing, rng.choice([0, 50, 5000]), text]),
        ("append", [existing, text]),
        ("truncate", [existing, rng.choice([0, 10, 20000])]),
        ("map", [existing, text[:20]]),
        ("unlink", [existing]),
        ("rmdir", [directory]),
        ("rename", [existing, rng.choice([new, new, existing, rng.choice(others or [new])]), 0]),
        ("rename", [directory, rng.choice([new, rng.choice(directories)]), 0]),
        ("rename", [existing, new, fileops.NOREPLACE]),
        ("rename", [existing, rng.choice(others + directories), fileops.EXCHANGE]),
        ("chmod", [rng.choice([existing, directory]), rng.choice([0o600, 0o755, 0o1777, 0o2775, 0o6755])]),
        ("chown", [rng.choice([existing, directory]), rng.choice([0, 7, 1000]), rng.choice([0, 7, 1000, 3000000])]),
        ("utime", [existing, OLD + rng.randrange(10**9)]),
        ("setxattr", [existing, "user.x", text[:9].encode().hex()]),
        ("setxattr", [existing, "security.capability", CAPABILITY]),
        ("removexattr", [existing, rng.choice(["user.x", "user.host", "security.capability"])]),
        ("read", [existing]),
    ])  # fmt: skip
    if "." in words or (name == "chmod" and os.path.islink(words[0])):
        return 0, "look", "."
    return rng.choice([0, 0, 0, 1000]), name, *words


# ---- the host ----


def populate(top):
    """Files of all kinds with different owners, modes and attributes, three directories deep."""
    directories = [top, *(top / n for n in "abc"), top / "a/deep", top / "a/deep/est", top / "b/of anybody"]
    for number, directory in enumerate(directories):
        directory.mkdir(exist_ok=True)
        for n, mode in enumerate((0o644, 0o600, 0o4755, 0o666)):
            path = directory / f"host{n}"
            path.write_bytes(bytes([65 + n]) * (n * 3000))
            path.chmod(mode)
            os.setxattr(path, "user.host", b"%d" % n)
        os.chown(directory / "host1", 1000, 1000)
        os.setxattr(directory / "host2", "security.capability", bytes.fromhex(CAPABILITY))
        os.symlink("host0", directory / "link")
        os.mkfifo(directory / "fifo")
        os.chown(directory / "fifo", number, 7)
    (top / "b/of anybody").chmod(0o1777)
    os.chown(top / "c", 1000, 1000)
    for directory, names, files in os.walk(top):
        for name in names + files:
            os.utime(os.path.join(directory, name), ns=(OLD, OLD + len(name)), follow_symlinks=False)


def fingerprint(top):
    """All that the kernel says of it but the time of the last read."""
    inodes = {}
    for directory, names, files in os.walk(top):
        for path in [directory, *(os.path.join(directory, n) for n in files)]:
            st = os.lstat(path)
            inodes[path] = (st.st_ino, st.st_mtime_ns, st.st_ctime_ns, st.st_nlink, st.st_blocks)
    return layer.tree(top), inodes


@contextlib.contextmanager
def on_the_root():
    top = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/srv"))
    yield top
    remove_tree(top)


@contextlib.contextmanager
def on_a_mount():
    """A file system of its own of the host's, whose overlay is another one."""
    with mounted() as path:
        (path / "top").mkdir()
        yield path / "top"


@pytest.fixture
def host(request):
    with request.param() as top:
        top.chmod(0o755)
        populate(top)
        yield top


@pytest.fixture
def groups(bench, host):
    before = fingerprint(host)
    with contextlib.ExitStack() as made:
        found = []
        for words in [("namespace", "one", 3), ("namespace", "two", 2), ("namespace", "one", 2, "named"), ("node", "one", 2),
                      ("pod", "one", 1)]:  # fmt: skip
            found.append(Group(bench, host, len(found), *words))
            made.callback(found[-1].close)
        yield found
        assert fingerprint(host) == before, "the host's tree has changed"
        for group in found:
            group.compare()
            assert changes(host, "--group", group.key) == layer.differences(before[0], layer.tree(group.top))
    assert fingerprint(host) == before, "the host's tree has changed"


def random_of(seed):
    """Another sequence for each commit."""
    print(f"random.Random({f'{commit_id()} {seed}'!r})")
    return random.Random(f"{commit_id()} {seed}")


def run(groups, host, rng, steps):
    before = fingerprint(host)
    for number in range(steps):
        rng.choice(groups).step(rng)
        if number % 40 == 39:
            group = rng.choice([g for g in groups if g.scope != "pod"])
            rng.choice(group.pods).again()
            for each in groups:
                each.compare()
            assert fingerprint(host) == before, "the host's tree has changed"


PLACES = pytest.mark.parametrize("host", [on_the_root, on_a_mount], indirect=True, ids=["root", "mount"])


@pytest.mark.submission("what five groups of pods do to one tree, other operations for each commit; seconds")
@PLACES
def test_pods_see_what_a_plain_file_system_would_show(groups, host):
    run(groups, host, random_of(0), 250)


@pytest.mark.full("thousands of operations of other seeds")
@pytest.mark.parametrize("seed", range(1, 7))
@PLACES
def test_pods_see_what_a_plain_file_system_would_show_often(groups, host, seed):
    run(groups, host, random_of(seed), 3000)


# ---- what is not promised ----


@pytest.mark.submission("what the page says of files that a container is the first to write must be so; a second")
def test_what_a_plain_file_system_does_otherwise(bench):
    with on_the_root() as host:
        (host / "file").write_text("the host's")
        (host / "directory").mkdir()
        os.link(host / "file", host / "second name")
        script = f"""if 1:
            import mmap, os
            os.chdir({str(host)!r})
            file = open("file")
            memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            open("file", "w").write("written")
            print(file.read(), memory[:].decode(), open("second name").read(), sep="; ")
            try:
                os.rename("directory", "moved")
            except OSError as error:
                print(error.strerror)"""
        said_by_python = said(bench, f"exec {shlex.join([sys.executable, '-I', '-S', '-c', script])}", **plain_pod())
        assert said_by_python == "written; the host's; the host's\nInvalid cross-device link\n"


# ---- at the same time ----


@pytest.mark.submission("copying up is where pods of one group meet; seconds")
@PLACES
def test_pods_that_do_the_same_at_once(bench, host):
    """What a file system does at once for one of many it does so between containers, too: of files of the host's."""
    before = fingerprint(host)
    group = Group(bench, host, 0, "namespace", "one", 4)
    try:
        for number, path in enumerate([f"{d}/host{n}" for d in ("a", "b", "c", "a/deep", "a/deep/est") for n in range(4)]):
            at_once(group, number, path, host)
        trees = [pod.do(0, "tree", ".") for pod in group.pods]
        assert all(tree == trees[0] for tree in trees)
        assert fingerprint(host) == before, "the host's tree has changed"
    finally:
        group.close()


def at_once(group, number, path, host):
    words = [("create", f"file{number}", "text", 0o644), ("mkdir", f"directory{number}", 0o755), ("link", path, f"link{number}"),
             ("symlink", f"symlink{number}", "x"), ("rename", f"{os.path.dirname(path)}/fifo", f"renamed{number}", 0)]  # fmt: skip
    for n, pod in enumerate(group.pods):
        for _ in range(10):
            pod.ask(0, "append", path, f"{n} ")
        for each in words:
            pod.ask(0, *each)
    answers = [[pod.answer() for _ in range(10 + len(words))] for pod in group.pods]
    # what each has appended is there, behind what the host has
    assert [a[:10] for a in answers] == [[None] * 10] * len(group.pods)
    text = (group.pods[0].view / path).read_bytes()
    behind = text.removeprefix((host / path).read_bytes())
    assert sorted(behind.split()) == sorted(b"%d" % n for n, _ in enumerate(group.pods) for _ in range(10)), text[-200:]
    # everything else one of them has done; there is one FIFO for four files
    lost = ["EEXIST"] * 4 + ["ENOENT"]
    for n, error in enumerate(lost):
        won = 0 if error == "ENOENT" and number % 4 else 1
        said = sorted(str(a[10 + n]) for a in answers)
        assert said == sorted([error] * (len(answers) - won) + ["None"] * won), words[n]
