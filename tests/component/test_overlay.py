"""reaperctl overlay: what workloads changed, as a list and as a layer, and how to begin anew."""

import json
import os
import pathlib
import random
import shutil
import tarfile
import tempfile

import pytest

import layer
from machine import run
from overlays import REAPERCTL, changes, original, overlay
from trees import remove_tree

pytestmark = pytest.mark.submission("what a pod did to its view must be told as it is; a second")

AWKWARD = [b"plain", b"with blank", b"new\nline", b"tab\t", b"back\\slash", b"\xff\xfe bytes", "ö".encode(),
           b"-dash", b"\x1b[31m", b"q" * 200]  # fmt: skip


class Pod:
    """A container that does what it is told, file system work by Python in its view."""

    def __init__(self, bench, name="one"):
        self.container = bench.container("/bin/sleep", "1000", name=name, process={
            "capabilities": {k: ["CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_SETFCAP"]
                             for k in ("bounding", "effective", "permitted")}})  # fmt: skip
        self.pid = self.container.create()
        self.container.call("Start")
        self.root = f"/proc/{self.pid}/root"

    def end(self):
        self.container.call("Kill", signal=9, all=True)
        self.container.call("Wait")
        self.container.end()


@pytest.fixture
def pod(bench):
    made = Pod(bench)
    yield made
    made.end()


@pytest.fixture
def place():
    """A directory of the host's root file system, with files of all kinds in it."""
    top = tempfile.mkdtemp(prefix="reaper-test-", dir="/srv").encode()
    for name in AWKWARD:
        os.makedirs(os.path.join(top, b"d", name))
        for number in range(3):
            write(os.path.join(top, b"d", name, b"f%d" % number), name * number)
    os.symlink(b"d/plain", os.path.join(top, b"link"))
    os.mkfifo(os.path.join(top, b"fifo"))
    write(os.path.join(top, b"shared"), b"two names")
    os.setxattr(os.path.join(top, b"shared"), "user.word", b"a\0b\n")
    yield os.fsdecode(top)
    remove_tree(pathlib.Path(os.fsdecode(top)))


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def operate(rng, top):
    """One operation of a workload somewhere below `top`."""
    found = [top]
    for directory, names, files in os.walk(top):
        found += [os.path.join(directory, n) for n in names + files]
    target = rng.choice(found[1:]) if len(found) > 1 else top
    directories = [p for p in found if os.path.isdir(p) and not os.path.islink(p)]
    new = os.path.join(rng.choice(directories), rng.choice(AWKWARD) + b"%d" % rng.randrange(99))
    is_file = os.path.isfile(target) and not os.path.islink(target)
    kind = rng.randrange(12)
    if os.path.lexists(new) and kind in (0, 1, 2, 3, 10):
        return
    if kind == 0:
        write(new, rng.randbytes(rng.randrange(9000)))
    elif kind == 1:
        os.mkdir(new, 0o700)
    elif kind == 2:
        os.symlink(rng.choice(AWKWARD), new)
    elif kind == 3 and is_file:
        os.link(target, new)
    elif kind == 4 and target != top:
        layer.remove(target)
    elif kind == 5 and is_file:
        with open(target, "ab") as file:
            file.write(b"more")
    elif kind == 6 and not os.path.islink(target):
        os.chmod(target, rng.choice([0o600, 0o755, 0o4711]))
    elif kind == 7:
        os.chown(target, rng.randrange(9), 3000000, follow_symlinks=False)
    elif kind == 8 and is_file:
        os.setxattr(target, "user.x", rng.randbytes(8))
    elif kind == 9 and target != top:  # something else of the same name: an opaque directory, for one
        layer.remove(target)
        rng.choice([os.mkdir, lambda p: write(p, b"now a file"), lambda p: os.symlink(b"x", p)])(target)
    elif kind == 10:
        os.mkfifo(new)
    elif kind == 11 and is_file:  # copied up and as before
        os.utime(target, (1, 1))


def operations(pod, place, seed, count):
    """Done in the view, through its root: as the workload's own would be."""
    rng = random.Random(seed)
    view = os.fsencode(pod.root + place)
    for _ in range(count):
        operate(rng, view)
    return view


@pytest.mark.parametrize("seed", range(4))
def test_diff_and_export_are_what_a_model_says(bench, pod, place, seed):
    before = layer.tree(place)
    view = operations(pod, place, seed, 60)
    after = layer.tree(view)
    assert layer.tree(place) == before, "the host's own has changed"
    assert changes(place) == layer.differences(before, after)

    # the layer, put onto a copy of the host's tree, is the view
    archive = bench.directory / "layer.tar"
    overlay("export", "--output", str(archive))
    copy = bench.directory / "copy"
    shutil.copytree("/srv", copy / "srv", symlinks=True, copy_function=copy_file,
                    ignore=lambda d, names: [n for n in names if d == "/srv" and f"/srv/{n}" != place])  # fmt: skip
    for path, entry in before.items():
        restore(os.path.join(os.fsencode(f"{copy}{place}"), path), entry)
    layer.apply(archive, str(copy))
    assert layer.tree(f"{copy}{place}") == after


def copy_file(source, target):
    return target if os.path.exists(target) or not os.path.isfile(source) else shutil.copy2(source, target)


def restore(path, entry):
    kind, _, mode, owner, attributes = entry
    if kind == 0o010000 and not os.path.lexists(path):
        os.mkfifo(path)
    os.chown(path, *owner, follow_symlinks=False)
    if kind != 0o120000:
        os.chmod(path, mode)
    for name, value in attributes.items():
        os.setxattr(path, name, value, follow_symlinks=False)


def test_an_exported_layer_is_unpacked_by_gnu_tar_and_sorted(bench, pod, place):
    view = os.fsencode(pod.root + place)
    operations(pod, place, 99, 40)
    layer.remove(os.path.join(view, b"d"))
    os.mkdir(os.path.join(view, b"d"))
    archive = bench.directory / "layer.tar"
    overlay("export", "--output", str(archive))
    with tarfile.open(archive, errors="surrogateescape") as tar:
        names = [m.name for m in tar]
    below = place[1:]
    own = [n for n in names if n == below or n.startswith(below + "/")]
    assert own[0] == below
    assert f"{below}/d/.wh..wh..opq" in own
    siblings = {}
    for name in names:
        siblings.setdefault(os.path.dirname(name), []).append(os.fsencode(os.path.basename(name)))
    for parent, children in siblings.items():
        assert children == sorted(children), parent
    out = bench.directory / "out"
    out.mkdir()
    run(["tar", "--extract", "--file", archive, "--directory", out, "--xattrs", "--xattrs-include=*", "--numeric-owner"])
    upper = json.loads(overlay("list", "--json").stdout)["node"]["upper"]
    wanted = {p: e for p, e in layer.tree(upper + place).items() if e[:2] != (0o020000, 0)}
    got = {p: e for p, e in layer.tree(f"{out}{place}").items() if not os.path.basename(p).startswith(b".wh.")}
    assert got == wanted


def test_what_a_layer_cannot_hold_is_named_and_left_out(bench, pod, place):
    view = pod.root + place
    write(f"{view}/.wh.trap", b"x")
    write(f"{view}/other", b"x")
    archive = bench.directory / "layer.tar"
    result = overlay("export", "--output", str(archive), check=False)
    assert result.returncode == 1
    assert f"{place}/.wh.trap: a layer takes the name for a deletion, left out" in result.stderr
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert f"{place[1:]}/other" in names and f"{place[1:]}/.wh.trap" not in names
    again = overlay("export", "--output", str(archive), check=False)
    assert again.returncode == 1 and "File exists" in again.stderr


def test_diff_names_the_package_that_owns_a_path(bench, pod):
    """A path of a merged /usr, too, and a package that was installed in the view."""
    os.chmod(f"{pod.root}/usr/bin/ls", 0o700)
    with open(f"{pod.root}/etc/debian_version", "a") as file:
        file.write("changed\n")
    write(f"{pod.root}/usr/bin/reaper-test-tool", b"")
    write(f"{pod.root}/var/lib/dpkg/info/reaper-test-tool:amd64.list", b"/.\n/usr/bin/reaper-test-tool\n")
    lines = overlay("diff").stdout.splitlines()
    assert "changed  /usr/bin/ls  (mode)  package coreutils" in lines
    assert "changed  /etc/debian_version  (content)  package base-files" in lines
    assert "added    /usr/bin/reaper-test-tool  package reaper-test-tool" in lines


def test_diff_names_the_package_where_var_is_a_file_system_of_its_own(bench):
    own = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/srv"))
    (own / "info").mkdir()
    run(["mount", "--bind", own, "/var/lib/dpkg"])
    try:
        pod = Pod(bench)
        write(f"{pod.root}/usr/bin/reaper-test-tool", b"")
        write(f"{pod.root}/var/lib/dpkg/info/reaper-test-tool.list", b"/.\n/usr/bin/reaper-test-tool\n")
        lines = overlay("diff").stdout.splitlines()
        pod.end()
        overlay("gc", "--all")
    finally:
        run(["umount", "/var/lib/dpkg"])
        remove_tree(own)
    assert "added    /usr/bin/reaper-test-tool  package reaper-test-tool" in lines


def test_diff_asks_rpm_where_there_is_no_dpkg(bench, pod):
    os.chmod(f"{pod.root}/usr/bin/ls", 0o700)
    program = bench.directory / "bin" / "rpm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n[ \"$1\" = -qa ] && printf 'bash\\t/bin/sh\\ncoreutils-rpm\\t/usr/bin/ls\\n'\n")
    program.chmod(0o755)
    run(["mount", "-t", "tmpfs", "none", "/var/lib/dpkg"])
    try:
        lines = overlay("diff", env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}).stdout
    finally:
        run(["umount", "/var/lib/dpkg"])
    assert "changed  /usr/bin/ls  (mode)  package coreutils-rpm\n" in lines


def test_names_cannot_forge_lines_or_terminals(bench, pod, place):
    write(os.fsencode(pod.root + place) + b"/a\nadded    etc\x1b[2J\xff", b"")
    text = overlay("diff").stdout
    assert f"added    {place}/a\\x0aadded    etc\\x1b[2J\\xff\n" in text


def test_reset_begins_anew_for_the_next_and_leaves_the_running(bench, place):
    former = Pod(bench, "former")
    write(f"{former.root}{place}/mine", b"1")
    result = overlay("reset")
    assert result.stdout == (
        "reaperctl: node: empty for the next containers; 1 processes keep what they see until they end\n")  # fmt: skip
    later = Pod(bench, "later")
    assert not os.path.exists(f"{later.root}{place}/mine")
    write(f"{later.root}{place}/theirs", b"2")
    # each goes on writing, in its own generation
    write(f"{former.root}{place}/more", b"1")
    assert os.path.exists(f"{former.root}{place}/mine") and not os.path.exists(f"{former.root}{place}/theirs")
    assert changes(place) == {b"theirs": ("added", ())}
    assert json.loads(overlay("reset", "--json").stdout) == {"result": "changed", "group": "node", "processes": 1}
    former.end()
    later.end()
    assert overlay("reset").stdout == "reaperctl: node: nothing was written, nothing to reset\n"


def test_show_and_groups_that_are_none(bench, pod):
    text = overlay("show").stdout
    assert "group      node\n" in text and "layer      /: /run/reaper/overlay/upper\n" in text
    shown = json.loads(overlay("show", "--json").stdout)
    assert shown["layers"][0] == {"over": "/", "upper": "/run/reaper/overlay/upper"}
    assert shown["processes"] >= 1
    for command in ("show", "diff", "export"):
        result = overlay(command, "--group", "pod.nobody", check=False)
        assert result.returncode == 1 and "pod.nobody: no such group" in result.stderr, command
    result = overlay("diff", "--group", "../../etc", check=False)
    assert result.returncode == 1


def test_a_tree_that_is_too_deep_is_refused(bench, pod, place):
    deep = os.open(pod.root + place, os.O_RDONLY)
    for _ in range(450):
        os.mkdir("x", dir_fd=deep)
        down = os.open("x", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = down
    os.close(deep)
    result = overlay("diff", check=False)
    assert result.returncode == 1 and "more than 400 directories deep" in result.stderr
