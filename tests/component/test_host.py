"""The view follows the host: what it mounts and unmounts, replaces and deletes, and whom it listens to.

A group is made by the test's first container and outlives it; what the host does then, the next
container must see.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import tempfile

import pytest

from bench import spec
from faults import sysfault
from machine import BINARIES, run
from running import Running, bind, mounted, said
from ttrpc import RpcError

pytestmark = pytest.mark.submission("a view of yesterday's host is worse than none; each takes milliseconds")

HOLD = "echo ready; exec sleep 600"


def point_in(pod, path):
    return pathlib.Path(f"/proc/{pod.pid}/root{path}")


@pytest.fixture
def first(bench):
    """A running container: the group is made, and somebody is in it."""
    pod = Running(bench, HOLD, name="first")
    assert pod.line() == "ready\n"
    yield pod
    pod.kill()


@pytest.fixture
def place():
    """A directory of the host's root file system."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/usr/local/lib"))
    path.chmod(0o755)
    yield path
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


def replace(path, text):
    """As every package manager does it."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)


# ---- mounts ----


def test_what_the_host_mounts_later_is_seen_by_the_next_container_and_not_written_to(bench, first):
    with mounted() as path:
        (path / "file").write_text("later\n")
        assert said(bench, f"cat {path}/file; echo x >{path}/new; cat {path}/new") == "later\nx\n"
        assert not (path / "new").exists()
        # the writes are the group's, as everywhere else
        assert said(bench, f"cat {path}/new", name="two") == "x\n"
        # and by the pod from before: mounts are shared in the node's scope (reaper.runtime/mounts)
        assert point_in(first, f"{path}/file").exists()


def test_what_the_host_has_unmounted_is_gone_for_the_next_container(bench):
    with mounted() as path:
        (path / "file").write_text("there\n")
        pod = Running(bench, HOLD, name="first")
        pod.line()
        subprocess.run(["umount", path], check=True)
        assert said(bench, f"ls -A {path}") == ""
        # another file system at the same place is not the one from before
        subprocess.run(["mount", "-t", "tmpfs", "reaper-test", path], check=True)
        (path / "other").write_text("other\n")
        assert said(bench, f"ls -A {path}", name="two") == "other\n"
        pod.kill()


def test_a_mount_below_another_one_comes_and_goes_with_it(bench, first):
    with mounted() as path:
        (path / "below").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "reaper-below", path / "below"], check=True)
        (path / "below" / "file").write_text("below\n")
        assert said(bench, f"cat {path}/below/file") == "below\n"
        subprocess.run(["umount", path / "below"], check=True)
        assert said(bench, f"ls -A {path}/below", name="two") == ""
        # the upper one is replaced under the lower one's feet
        subprocess.run(["umount", path], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "reaper-test", path], check=True)
        (path / "below").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "reaper-below", path / "below"], check=True)
        (path / "below" / "again").write_text("")
        assert said(bench, f"ls -A {path} {path}/below", name="three") == f"{path}:\nbelow\n\n{path}/below:\nagain\n"
        subprocess.run(["umount", path / "below"], check=True)


def test_a_bound_file_that_the_host_mounts_later_is_bound(bench, first, place):
    for name in ("a", "b"):
        (place / name).write_text(f"{name}\n")
    subprocess.run(["mount", "--bind", place / "a", place / "b"], check=True)
    try:
        assert said(bench, f"cat {place}/b; echo x 2>/dev/null >{place}/b || echo refused") == "a\nrefused\n"
    finally:
        subprocess.run(["umount", place / "b"], check=True)
    assert said(bench, f"cat {place}/b", name="two") == "b\n"


def test_a_link_that_a_workload_left_leads_no_mount_astray(bench):
    with mounted() as path:
        subprocess.run(["umount", path], check=True)
        assert said(bench, f"rmdir {path} && ln -s /usr {path}; ls -d {path}") == f"{path}\n"
        subprocess.run(["mount", "-t", "tmpfs", "reaper-test", path], check=True)
        (path / "file").write_text("")
        assert said(bench, "ls -d /usr/bin", name="two") == "/usr/bin\n"


def test_the_sites_rules_decide(bench, first, monkeypatch):
    with mounted() as path, mounted() as other:
        for p in (path, other):
            (p / "file").write_text("there\n")
        monkeypatch.setenv("REAPER_SUBMOUNTS", f"{path}=bind {other}=omit")
        assert said(bench, f"ls -A {other}; echo x >>{path}/file") == ""
        assert (path / "file").read_text() == "there\nx\n"
        # a changed rule holds from the next container on
        monkeypatch.setenv("REAPER_SUBMOUNTS", "tmpfs=layer")
        assert said(bench, f"cat {other}/file; echo y >>{path}/file; cat {path}/file", name="two") == "there\nthere\nx\ny\n"
        assert (path / "file").read_text() == "there\nx\n"


def test_a_full_upper_keeps_the_view_from_no_mount_of_the_host(bench):
    bench.settings["REAPER_UPPER_SIZE"] = "2M"
    said(bench, "dd if=/dev/zero of=/srv/reaper-test-full bs=1M 2>/dev/null; echo full >/srv/reaper-test-more 2>/dev/null; true", name="filler")
    with mounted() as path:
        (path / "file").write_text("there\n")
        assert said(bench, f"cat {path}/file; rm /srv/reaper-test-full", name="two") == "there\n"
    assert said(bench, f"ls -A {path.parent}; echo x >/srv/reaper-test-more", name="three").count(path.name) == 0


def test_an_upper_without_inodes_is_named(bench):
    bench.settings["REAPER_UPPER_INODES"] = "1024"
    fill = "mkdir /srv/reaper-test-full; cd /srv/reaper-test-full; i=0; while : >f$i; do i=$((i+1)); done; echo $i"
    assert int(said(bench, f"bash -c '{fill}' 2>/dev/null", name="filler")) > 100
    with mounted():
        with pytest.raises(RpcError, match="/run/reaper/overlay is full and has no room for what the host has mounted since"):
            said(bench, "true", name="two")
    # what is gone again needs no room: the next one cleans up
    assert said(bench, "rm -r /srv/reaper-test-full; echo x >/srv/reaper-test-more; cat /srv/reaper-test-more", name="three") == "x\n"


def fails_and_is_made_good(bench, call, choose):
    """A call of the runtime fails while the view is to follow; what the next container sees is right."""
    holder = Running(bench, HOLD, name="holder")
    holder.line()
    where = {"call": call, "follow": True, "comm": "reaper-runtime"}

    def follow(name, **fault):
        command = [BINARIES / "reaper-runtime", "run", bench.make_bundle(name, spec("/bin/true"))]
        return sysfault(command, **where, **fault)

    failed = 0
    with mounted():
        total = follow("count").calls
    for at in choose(total):
        with mounted() as path:
            (path / "file").write_text("later\n")
            failed += follow(f"fault-{at}", at=at, action="EIO").status != 0
            script = f"cat {path}/file; echo x >{path}/new; grep -c ' {path} ' /proc/self/mountinfo"
            assert said(bench, script, name=f"next-{at}") == "later\n1\n", at
            assert [p.name for p in path.iterdir()] == ["file"], at
        assert path.name not in said(bench, f"ls -A {path.parent}", name=f"gone-{at}"), at
    holder.kill()
    return failed


@pytest.mark.parametrize("call", ["mount", "move_mount", "renameat"])
def test_a_following_that_fails_is_made_good_by_the_next(bench, call):
    assert fails_and_is_made_good(bench, call, lambda total: sorted({1, 2, total // 2})) > 0


@pytest.mark.full("each call of the following, one after the other: two minutes")
@pytest.mark.parametrize("call", ["mount", "umount2", "move_mount", "open_tree", "setns", "unshare", "fspick", "fsconfig", "renameat", "mkdir", "openat2"])
def test_a_following_that_fails_anywhere_is_made_good_by_the_next(bench, call):
    fails_and_is_made_good(bench, call, lambda total: range(1, min(total, 40) + 1))


# ---- files ----


def test_what_the_host_replaces_makes_and_deletes_is_seen_by_the_next_container(bench, place, first):
    (place / "old").write_text("one\n")
    (place / "gone").write_text("one\n")
    look = f"cat {place}/old {place}/gone {place}/new 2>&1 || true"
    assert said(bench, look) == f"one\none\ncat: {place}/new: No such file or directory\n"
    replace(place / "old", "two\n")
    (place / "gone").unlink()
    (place / "new").write_text("two\n")
    assert said(bench, look, name="two") == f"two\ncat: {place}/gone: No such file or directory\ntwo\n"


@pytest.mark.parametrize("backup", [False, True], ids=["replaced", "with a backup"])
def test_a_library_upgraded_while_a_pod_uses_it_is_the_new_one_for_the_next_pod(bench, place, backup):
    library = place / "libreaper.so"
    library.write_text("one\n")
    pod = Running(bench, f"exec 7<{library}; echo ready; read x <&7; exec sleep 600", name="first")
    pod.line()
    if backup:  # the old file keeps a name
        os.link(library, place / "libreaper.so.old")
    replace(library, "two\n")
    script = f"cat {library}; echo x 2>/dev/null >{library} || echo refused"
    assert said(bench, script) == "two\nrefused\n"
    assert library.read_text() == "two\n"
    # also the one after it, for which nobody looks at the processes again
    replace(library, "three\n")
    assert said(bench, f"cat {library}", name="two") == "three\n"
    assert pathlib.Path(f"/proc/{pod.pid}/fd/7").read_text() == "one\n"
    pod.kill()
    # nobody holds it: there is nothing to bind
    assert said(bench, f"cat {library}; grep -c {library} /proc/self/mountinfo || true", name="three") == "three\n0\n"


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_a_stale_file_can_refuse_the_pod_or_be_reported(bench, place, monkeypatch, how):
    library = place / "libreaper.so"
    library.write_text("one\n")
    pod = Running(bench, f"exec 7<{library}; echo ready; exec sleep 600", name="first")
    pod.line()
    replace(library, "two\n") if how == "replaced" else library.unlink()
    monkeypatch.setenv("REAPER_STALE", "refuse")
    with pytest.raises(RpcError, match=f"{library}: the host {how} it and a running pod still has the old file open"):
        said(bench, "true")
    monkeypatch.setenv("REAPER_STALE", "warn")
    other = Running(bench, f"cat {library}; exec sleep 600", name="two")
    assert other.line() == "one\n"
    log = os.read(os.open(bench.directory / "two" / "log", os.O_RDONLY | os.O_NONBLOCK), 1 << 16).decode()
    assert f"{library}: the host {how} it, but a running pod has the old file open" in log
    other.kill()
    pod.kill()


def test_what_a_workload_wrote_or_replaced_itself_is_not_stale(bench, place, monkeypatch):
    library = place / "libreaper.so"
    library.write_text("one\n")
    script = f"echo mine >{library}.n; mv {library}.n {library}; exec 7<{library}; echo ready; exec sleep 600"
    pod = Running(bench, script, name="first")
    pod.line()
    replace(library, "two\n")
    monkeypatch.setenv("REAPER_STALE", "refuse")
    assert said(bench, f"cat {library}") == "mine\n"
    pod.kill()


def refresh(*options):
    return run([BINARIES / "reaperctl", "overlay", "refresh", *options]).stdout


def test_refresh_names_the_files_and_who_holds_them(bench, place):
    assert refresh() == ""  # no group yet
    for name in ("a", "b"):
        (place / name).write_text("one\n")
    pod = Running(bench, f"exec 7<{place}/a 8<{place}/b; echo ready; exec sleep 600", name="first")
    pod.line()
    assert refresh() == "node: up to date\n"
    replace(place / "a", "two\n")
    (place / "b").unlink()
    assert json.loads(refresh("--json")) == {"node": {
        f"{place}/a": {"state": "replaced", "process": pod.pid}, f"{place}/b": {"state": "deleted", "process": pod.pid}}}  # fmt: skip
    assert f"node: {place}/a was replaced on the host; process {pod.pid} still has the old one open\n" in refresh()
    pod.kill()
    assert refresh() == "node: up to date\n"


def test_the_doctor_names_the_first_of_them(bench, place):
    (place / "a").write_text("one\n")
    pod = Running(bench, f"exec 7<{place}/a; echo ready; exec sleep 600", name="first")
    pod.line()

    def check():
        return json.loads(run([BINARIES / "reaperctl", "doctor", "--json"], check=False).stdout)["checks"]["view-fresh"]

    assert check()["result"] == "passed"
    replace(place / "a", "two\n")
    assert check()["why"] == f"{place}/a (group node) was replaced on the host, process {pod.pid} holds the old one"
    pod.kill()


def test_refresh_lets_go_of_what_the_host_has_unmounted(bench):
    """So that a device can be detached without a further container."""
    with mounted() as path:
        pod = Running(bench, HOLD, name="first")
        pod.line()
        pod.kill()
        layers = pathlib.Path("/run/reaper/groups/node/submounts").read_text()
        assert f" {path} " in layers
        subprocess.run(["umount", path], check=True)
        refresh()
        assert pathlib.Path("/run/reaper/groups/node/submounts").read_text() == layers.replace(
            next(line for line in layers.splitlines(True) if f" {path} " in line), "")  # fmt: skip


def test_a_deep_library_is_looked_for_when_the_packages_changed(bench, first):
    """As the package's trigger says it: in a directory that nobody watches."""
    with mounted() as path:
        library = path / "a" / "lib.so"
        library.parent.mkdir()
        library.write_text("one\n")
        pod = Running(bench, f"exec 7<{library}; echo ready; exec sleep 600", name="holder")
        pod.line()
        replace(library, "two\n")
        assert said(bench, f"cat {library}", name="unaware") == "one\n"
        pathlib.Path("/run/reaper/packages").touch()
        assert said(bench, f"cat {library}") == "two\n"
        pod.kill()


def test_what_the_view_hides_or_changes_on_purpose_is_not_stale(bench, monkeypatch):
    """The locked shadow is another file than the host's, which must never be bound over it."""
    pod = Running(bench, "exec 7</etc/shadow 8</etc/passwd; echo ready; exec sleep 600", name="first")
    pod.line()
    monkeypatch.setenv("REAPER_STALE", "refuse")
    pathlib.Path("/run/reaper/packages").touch()
    assert said(bench, "grep -c /etc/shadow /proc/self/mountinfo || true") == "0\n"
    pod.kill()


# ---- sockets and FIFOs ----


@contextlib.contextmanager
def server(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener
    path.unlink()


TALK = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('{}'); s.send(b'hello'); print('said')"


def python(code):
    return f'/usr/bin/python3 -c "{code}" 2>&1 | tail -n 1'


def heard(listener):
    connection, _ = listener.accept()
    with connection:
        return connection.recv(100)


def test_a_socket_of_the_host_is_reached_if_it_is_passed_through(bench, place, first, monkeypatch):
    with server(place / "a.sock") as a, server(place / "b.sock"):
        assert "refused" in said(bench, python(TALK.format(place / "a.sock")))
        monkeypatch.setenv("REAPER_PASSTHROUGH", f"{place}/[a].*")
        assert said(bench, python(TALK.format(place / "a.sock")), name="two") == "said\n"
        assert heard(a) == b"hello"
        assert "refused" in said(bench, python(TALK.format(place / "b.sock")), name="three")


def test_a_fifo_of_the_host_is_written_to_if_it_is_passed_through(bench, place, first, monkeypatch):
    os.mkfifo(place / "fifo")
    reader = os.open(place / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setenv("REAPER_PASSTHROUGH", f"{place}/fifo")
    assert said(bench, f"echo hello >{place}/fifo") == ""
    assert os.read(reader, 100) == b"hello\n"
    os.close(reader)


def test_what_the_host_removes_while_a_container_starts_refuses_it_nothing(bench, place):
    """An agent that is taken off the node: its directory goes before each mount in turn."""
    pipes = place / "pipes"
    pipes.mkdir()
    environment = {**bench.environment(), "REAPER_PASSTHROUGH": str(pipes)}
    command = [BINARIES / "reaper-runtime", "run", bench.make_bundle("one", spec("/bin/true"))]
    where = {"call": "move_mount", "follow": True, "comm": "reaper-runtime", "environment": environment}
    for at in range(1, sysfault(command, **where).calls + 1):
        pipes.mkdir(exist_ok=True)
        report = sysfault(command, **where, at=at, action="run", script=f"rmdir {pipes}")
        assert (report.status, report.stderr) == (0, ""), at
        # one mount less when it is gone: the last is not reached
        assert pipes.exists() != report.hit, at
    pipes.rmdir()


def test_the_pipes_of_sssd_are_passed_through_and_outlive_its_restart(bench, first):
    """The directory is bound, so that a running pod finds a socket that was made anew."""
    pipes = pathlib.Path("/var/lib/sss/pipes")
    if pipes.exists():
        pytest.fail("this machine has an sssd of its own")
    made = [p for p in (pipes, pipes.parent) if not p.exists()]
    pipes.mkdir(parents=True)
    try:
        script = f"{python(TALK.format(pipes / 'nss'))}; read x; {python(TALK.format(pipes / 'nss'))}"
        go = bench.directory / "go"
        os.mkfifo(go)
        with server(pipes / "nss") as nss:
            pod = Running(bench, script.replace("read x", "read x </go"), bind(go, "/go"))
            assert pod.line() == "said\n"
            assert heard(nss) == b"hello"
        with server(pipes / "nss") as nss:
            go.write_text("\n")
            assert pod.line() == "said\n"
            assert heard(nss) == b"hello"
            assert pod.end() == ""
    finally:
        for path in made:
            path.rmdir()
