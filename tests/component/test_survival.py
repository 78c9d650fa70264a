"""What outlives the shim, containerd and the package: `delete` with whatever state is left, records
of other versions, programs that are replaced under running pods."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import bench as benches
from bench import exec_spec, spec
from machine import BINARIES, PROGRAMS, is_zombie
from trees import remove_tree
from ttrpc import NOT_FOUND, TASK, Connection, RpcError, Task
from waiting import until

pytestmark = pytest.mark.submission("a node where this fails keeps workloads that nobody owns; milliseconds each")

TREE = ("/bin/sh", "-c", "sleep 611 & setsid sleep 611 & exec sleep 611")


def running(bench, **changes):
    """A container of three processes; (container, their pids)."""
    c = bench.container(*TREE, **changes)
    c.create()
    c.call("Start")
    pids = until(lambda: (found := [p.pid for p in c.call("Pids").processes]) and len(found) == 3 and found)
    return c, pids


def kill_shim(c):
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)


def delete(bench, name="one"):
    """The call of containerd in a bundle of any shape: (its answer, what it said on stderr)."""
    bundle = bench.directory / name
    result = bench.shim("-bundle", str(bundle), "delete", bundle=bundle if bundle.exists() else "/", name=name)
    return TASK.decode("DeleteResponse", result.stdout), result.stderr.decode()


def remove(path):
    remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.parametrize("missing", ["config.json", "log", "address", "rootfs", "config.json log address rootfs"])
def test_delete_ends_the_workload_with_half_of_its_state(bench, missing):
    c, pids = running(bench)
    kill_shim(c)
    for name in missing.split():
        remove(c.bundle / name)
    answer, said = delete(bench)
    assert (answer.pid, answer.exit_status, said) == (pids[0], 137, "")
    until(lambda: all(map(is_zombie, pids)))
    # again, with nothing left to do
    assert delete(bench)[1] == ""
    if "address" in missing:  # only that file says where the socket is
        os.unlink(c.path)
    assert not os.path.exists(c.path)


@pytest.mark.parametrize("state", ["no_bundle", "empty_bundle", "never_created"])
def test_delete_of_nothing_is_quiet(bench, state):
    if state == "never_created":
        path = bench.start("one", spec("/bin/true"))
        (pid,) = bench.shims()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not bench.shims())
    elif state == "empty_bundle":
        (bench.directory / "one").mkdir()
    answer, said = delete(bench)
    assert (answer.pid, answer.exit_status, said) == (0, 137, "")
    assert answer.exited_at.seconds > 0
    assert state != "never_created" or not os.path.exists(path)


def test_delete_leaves_the_pods_other_containers_alone(bench):
    """containerd calls it for one container of a pod whose shim lives and serves the others."""
    annotations = {"io.containerd.reaper.v2.group": "pod"}
    one, pids = running(bench, annotations=annotations)
    two = bench.container("/bin/sleep", "612", name="two", annotations=annotations)
    two.create()
    two.call("Start")
    wait = one.task.begin("Wait", id="one")
    answer, said = delete(bench, "one")
    assert (answer.pid, said) == (pids[0], "")
    until(lambda: all(map(is_zombie, pids)))
    assert two.call("State").status == "RUNNING"
    # who waited for it heard of its end, and nobody will ask for it again
    assert one.task.end("Wait", wait).exit_status == 137
    until(lambda: one.code("State") == NOT_FOUND)
    two.call("Kill", signal=9)
    two.call("Wait")
    two.end()
    assert [event.container_id for topic, event in bench.events.all() if topic == "/tasks/delete"] == ["two"]


# ---- records of other versions ----


def rewrite(c, change):
    path = c.bundle / "reaper.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_the_record_of_an_older_version_is_understood(bench):
    """One that has only what the first version had to say."""
    c, pids = running(bench)
    kill_shim(c)

    def older(record):
        for key in set(record) - {"init", "cgroups"}:
            del record[key]
        record["version"] = 0

    rewrite(c, older)
    answer, said = delete(bench)
    assert (answer.pid, answer.exit_status, said) == (pids[0], 137, "")
    until(lambda: all(map(is_zombie, pids)))


def test_delete_ends_loggers_that_a_killed_shim_has_left(bench):
    """In nobody's cgroup, and deaf to the end of their pipes: only the record names them."""
    logger = bench.directory / "logger"
    logger.write_text(f"#!/bin/sh\necho $$ >> {bench.directory}/pids\nprintf x >&5\nexec 5>&-\nexec sleep 615\n")
    logger.chmod(0o755)
    # in the host's pid namespace: the exec's zombie, which is ours to reap here, would hold up the end of one
    namespaces = [{"type": kind} for kind in ("ipc", "uts", "mount", "network")]
    c = bench.container("/bin/sleep", "616", linux={**spec("x")["linux"], "namespaces": namespaces})
    c.create(stdout=f"binary://{logger}")
    c.call("Start")
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/sleep", "617"), stdout=f"binary://{logger}")
    c.call("Start", exec_id="e")
    loggers = [int(pid) for pid in (bench.directory / "pids").read_text().split()]
    assert len(loggers) == 2 and not any(map(is_zombie, loggers))
    kill_shim(c)
    assert not any(map(is_zombie, loggers))
    assert delete(bench)[1] == ""
    until(lambda: all(map(is_zombie, loggers)))


def test_delete_leaves_a_new_owner_of_the_pid_alone(bench):
    """The record names a pid; a process that began at another time is not the one that had it."""
    c, pids = running(bench)
    kill_shim(c)
    stranger = subprocess.Popen(["/bin/sleep", "614"], stdin=subprocess.DEVNULL)

    def reused(record):
        record["init"]["pid"] = stranger.pid

    rewrite(c, reused)
    answer, said = delete(bench)
    assert (answer.pid, answer.exit_status, said) == (stranger.pid, 137, "")
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    until(lambda: all(map(is_zombie, pids)))


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"version": 2, "cgroups": {"new": "shape"}}', "newer Reaper"), ("{\x00", "reaper.json")],
    ids=["newer", "damaged"],
)
def test_a_record_that_cannot_be_read_is_named_and_the_workload_ended(bench, text, words):
    """The package was downgraded under a running pod: config.json still says which cgroup is ours."""
    c, pids = running(bench)
    kill_shim(c)
    cgroups = [line.split(":", 2)[2] for line in pathlib.Path(f"/proc/{pids[1]}/cgroup").read_text().splitlines()]
    assert any(path.endswith("/one") for path in cgroups), cgroups
    (c.bundle / "reaper.json").write_text(text)
    answer, said = delete(bench)
    assert len(said.splitlines()) == 1 and words in said
    assert answer.exit_status == 137
    until(lambda: all(map(is_zombie, pids)))


# ---- the package is replaced ----


@pytest.fixture
def installed(bench, monkeypatch):
    """The three programs in a directory of their own, which a test may change."""
    directory = bench.directory / "bin"
    directory.mkdir()
    for program in PROGRAMS:
        if (BINARIES / program).exists():
            shutil.copy2(BINARIES / program, directory)
    monkeypatch.setattr(benches, "SHIM", directory / "containerd-shim-reaper-v2")
    return directory


def replace(path, text):
    """As a package manager does: a new file, renamed over the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o755)
    new.rename(path)


def run_exec(c, name, *args):
    c.call("Exec", exec_id=name, spec=exec_spec(*args))
    c.call("Start", exec_id=name)
    code = c.call("Wait", exec_id=name).exit_status
    c.call("Delete", exec_id=name)
    return code


@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_a_pod_keeps_the_runtime_it_was_born_with(bench, installed, how):
    annotations = {"io.containerd.reaper.v2.group": "pod"}
    one = bench.container("/bin/sleep", "613", annotations=annotations)
    one.create()
    one.call("Start")
    if how == "replaced":
        replace(installed / "reaper-runtime", "#!/bin/sh\nexit 99\n")
    else:
        (installed / "reaper-runtime").unlink()
    assert run_exec(one, "e", "/bin/sh", "-c", "exit 4") == 4
    # a container that comes later into the same pod
    two = bench.container("/bin/sh", "-c", "exit 5", name="two", annotations=annotations)
    assert two.path == one.path
    two.create()
    two.call("Start")
    assert two.call("Wait").exit_status == 5
    two.call("Delete")
    bench.delete("two")
    if how == "replaced":  # a pod that comes now has the new one: it was not the old one by accident
        other = bench.container("/bin/true", name="other")
        with pytest.raises(RpcError, match="reaper-runtime"):
            other.create()
        other.end(delete=False)
    one.call("Kill", signal=9)
    one.call("Wait")
    one.end()


def test_a_new_shim_joins_deletes_and_cleans_up_for_the_old(bench, installed):
    """`start` and `delete` are the new package's, the pod's shim is the old one's."""
    annotations = {"io.containerd.reaper.v2.group": "pod"}
    one, pids = running(bench, annotations=annotations)
    shutil.copy2(installed / "containerd-shim-reaper-v2", installed / "next")
    (installed / "next").rename(installed / "containerd-shim-reaper-v2")
    assert os.readlink(f"/proc/{one.shim_pid}/exe").endswith("(deleted)")
    two = bench.container("/bin/true", name="two", annotations=annotations)
    assert (two.path, two.shim_pid) == (one.path, one.shim_pid)
    two.create()
    two.call("Start")
    two.call("Wait")
    two.call("Delete")
    bench.delete("two")
    kill_shim(one)
    answer, said = delete(bench)
    assert (answer.pid, said) == (pids[0], "")
    until(lambda: all(map(is_zombie, pids)))


# ---- containerd is restarted ----


def test_every_state_survives_a_containerd_that_is_away(bench):
    """New connections, nobody to take events meanwhile: what the new containerd asks for is there."""
    annotations = {"io.containerd.reaper.v2.group": "pod"}
    made = {
        name: bench.container(*args, name=name, annotations=annotations)
        for name, args in (("created", ("/bin/sleep", "614")), ("running", ("/bin/sleep", "614")),
                           ("paused", ("/bin/sleep", "614")), ("stopped", ("/bin/sh", "-c", "exit 23")))
    }  # fmt: skip
    pids = {name: c.create() for name, c in made.items()}
    run, stopped = made["running"], made["stopped"]
    bench.events.close()
    run.call("Start")
    stopped.call("Start")
    made["paused"].call("Start")
    made["paused"].call("Pause")
    end = stopped.call("Wait")
    run.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", "exit 24"))
    run.call("Start", exec_id="e")
    exec_end = run.call("Wait", exec_id="e")
    for c in made.values():
        c.task.connection.close()
        c.task = Task(bench.connect(c.path), "v2")
    bench.events.open()
    for name, status in (("created", "CREATED"), ("running", "RUNNING"), ("paused", "PAUSED"), ("stopped", "STOPPED")):
        c = made[name]
        assert c.call("Connect").task_pid == pids[name]
        assert [p.pid for p in c.call("Pids").processes] == [pids[name]], "1.7 and later delete a task without pids"
        assert c.call("State").status == status
    assert stopped.call("Wait") == end and end.exit_status == 23
    assert run.call("Wait", exec_id="e") == exec_end and exec_end.exit_status == 24
    assert run.call("Delete", exec_id="e").exit_status == 24
    made["created"].call("Start")
    assert made["created"].call("State").status == "RUNNING"
    made["paused"].call("Resume")
    assert made["paused"].call("State").status == "RUNNING"
    for name in ("created", "running", "paused"):
        made[name].call("Kill", signal=9)
        made[name].call("Wait")
        made[name].call("Delete")
        bench.delete(name)
    assert bench.events.wait("/tasks/exit", id="stopped").exit_status == 23
    assert stopped.end().exit_status == 23


def topics(bench, name="one"):
    """What the shim has told of a container, in order."""
    return [topic for topic, event in bench.events.all() if event.container_id == name]


def ends(bench):
    """[(id, status)] of the ends in the history."""
    lines = pathlib.Path(bench.settings["REAPER_HISTORY_FILE"]).read_text().splitlines()
    return [(r["id"], r["status"]) for r in map(json.loads, lines) if r["event"] == "exit"]


BEGUN = ["/tasks/create", "/tasks/start"]
LOST = {  # state: what the shim has told before it was lost
    "running": BEGUN, "created": BEGUN[:1], "creating": [], "paused": [*BEGUN, "/tasks/paused"],
    "stopped": [*BEGUN, "/tasks/exit"], "deleting": [*BEGUN, "/tasks/exit"],
    "exec": [*BEGUN, "/tasks/exec-added", "/tasks/exec-started"],
}  # fmt: skip


@pytest.mark.parametrize("state", LOST)
def test_a_shim_that_containerd_has_lost_goes_with_its_container(bench, state):
    """containerd has closed the connection, or was refused a new one: it calls `delete`, tells the end by itself, and never
    calls Delete or Shutdown."""
    logger = bench.directory / "logger"
    logger.write_text("#!/bin/sh\nexec sleep 621\n")  # never says that it reads: Create is not answered
    logger.chmod(0o755)
    script = "case $0 in stopped) exit 3 ;; deleting) head -c 300000 /dev/zero; exit 3 ;; esac; exec sleep 620"
    c = bench.container("/bin/sh", "-c", script, state)
    pid = 0  # of one that containerd was not told about
    if state == "creating":
        c.task.begin("Create", id="one", bundle=str(c.bundle), stdout=f"binary://{logger}")
        until((c.bundle / "reaper.json").exists)
    elif state == "deleting":
        pid = c.create(stdout=c.fifo("stdout"))
    else:
        pid = c.create()
    if state not in ("creating", "created"):
        c.call("Start")
    if state == "paused":
        c.call("Pause")
    if state in ("stopped", "deleting"):
        assert c.call("Wait").exit_status == 3
    if state == "deleting":  # which waits for a client that does not read: more is there than a FIFO holds
        c.task.begin("Delete", id="one")
        assert c.code("State") == NOT_FOUND
    if state == "exec":
        c.call("Exec", exec_id="e", spec=exec_spec("/bin/sleep", "620"))
        c.call("Start", exec_id="e")
    c.task.connection.close()
    answer = bench.delete("one")
    assert (answer.pid, answer.exit_status) == (pid, 3 if state in ("stopped", "deleting") else 137)
    assert pid == 0 or not os.path.exists(f"/proc/{pid}"), "something of it is left when `delete` has ended"
    # the id is free at once, for the same shim or another
    again = bench.container("/bin/sh", "-c", "exit 4")
    again.create()
    again.call("Start")
    assert again.call("Wait").exit_status == 4
    again.end()
    until(c.gone, what="the end of the shim")
    assert topics(bench) == [*LOST[state], *BEGUN, "/tasks/exit", "/tasks/delete"]
    started = {"creating": [], "created": [], "stopped": [("one", 3)], "deleting": [("one", 3)]}.get(state, [("one", 137)])
    assert ends(bench) == [*started, ("one", 4)]


def test_a_lost_shim_that_does_not_answer_is_not_waited_for(bench):
    """A stopped one, or one that the machine has no time for: what is left of the container is ended without it."""
    c, pids = running(bench)
    os.kill(c.shim_pid, signal.SIGSTOP)
    c.task.connection.close()
    answer, said = delete(bench)
    assert (answer.pid, answer.exit_status, said) == (pids[0], 137, "")
    assert all(map(is_zombie, pids))
    assert os.path.exists(c.path)
    os.kill(c.shim_pid, signal.SIGCONT)
    until(c.gone, what="the end of the shim")
    assert not os.path.exists(c.path)


def test_a_start_that_is_killed_before_it_is_answered_keeps_no_place(bench):
    """A second container's `start` has asked the pod's shim, which had no processor yet, and is killed; so is the next
    one. The answer to the first word breaks their connections, and the second word is what tells the shim of the end."""
    c, _ = running(bench)
    os.kill(c.shim_pid, signal.SIGSTOP)
    for _ in range(2):
        with Connection(c.path) as start:
            for method in ("Reserve", "Hold"):
                start.send("reaper.shim.v1.Shim", method, TASK.encode("ConnectRequest", {"id": "two"}))
    os.kill(c.shim_pid, signal.SIGCONT)
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()  # which waits for the end of the shim: else two minutes


def test_delete_tells_a_living_shim_that_nobody_will_come(bench):
    """containerd has lost the connection (the shim had no memory for it) before Create: the place that `start` had kept is
    not waited for; of a shim with a container nothing goes."""
    c = bench.container("/bin/sleep", "619")
    c.task.connection.close()
    bench.delete("one")
    until(c.gone, what="the end of the shim")  # else two minutes
    assert not os.path.exists(c.path)
    c = bench.container("/bin/sleep", "619", name="two")
    c.create()
    c.call("Start")
    bench.make_bundle("other", None)
    (bench.directory / "other/address").write_text(f"unix://{c.path}")
    bench.delete("other")
    assert c.call("State").status == "RUNNING"
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
