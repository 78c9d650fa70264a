"""The Task service from Create to Shutdown, both versions, with the events and codes of the
contract."""

import json
import os
import signal
import threading

import pytest

from bench import spec
from ttrpc import EXISTS, INVALID, NOT_FOUND, OK, PRECONDITION, TASK, RpcError
from waiting import until

pytestmark = pytest.mark.submission("each method of the Task service, without containerd; milliseconds each")

NEVER = -62135596800  # year 1: how Go's zero time looks on the wire

SLEEP = ("/bin/sleep", "600")


def status(container, **fields):
    return container.call("State", **fields).status


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_life_of_a_task(bench, version):
    c = bench.container("/bin/sh", "-c", "exit 7", version=version)
    pid = c.create()
    assert pid > 0
    state = c.call("State")
    assert (state.id, state.bundle, state.pid, state.status) == ("one", str(c.bundle), pid, "CREATED")
    assert state.exited_at.seconds == NEVER
    assert c.call("Connect").task_pid == pid
    waiting = c.task.begin("Wait", id="one")
    assert c.call("Start").pid == pid
    answer = c.task.end("Wait", waiting)
    assert answer.exit_status == 7
    assert answer.exited_at.seconds > 0
    state = c.call("State")
    assert (state.status, state.pid, state.exit_status) == ("STOPPED", pid, 7)
    assert state.exited_at == answer.exited_at
    # as often as asked, with the same values
    assert c.call("Wait") == answer
    assert [p.pid for p in c.call("Pids").processes] == [pid], "containerd 1.7 and later delete a task without pids"
    assert c.code("Kill", signal=9) == NOT_FOUND
    deleted = c.end()
    assert (deleted.pid, deleted.exit_status, deleted.exited_at) == (pid, 7, answer.exited_at)
    topics = [t for t, _ in bench.events.all()]
    assert topics == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]
    create, start, exited, delete = [e for _, e in bench.events.all()]
    assert create.rootfs == [], "none was given"
    assert (create.container_id, create.bundle, create.pid) == ("one", str(c.bundle), pid)
    assert (start.container_id, start.pid) == ("one", pid)
    assert (exited.container_id, exited.id, exited.pid, exited.exit_status) == ("one", "one", pid, 7)
    assert (delete.container_id, delete.id, delete.pid, delete.exit_status) == ("one", "", pid, 7)


def test_codes_before_create(bench):
    c = bench.container(*SLEEP)
    for method, fields in (
        ("State", {}), ("Start", {}), ("Kill", {"signal": 9}), ("Wait", {}), ("Delete", {}), ("Pids", {}),
        ("CloseIO", {"stdin": True}), ("ResizePty", {"width": 80, "height": 25}), ("Exec", {"exec_id": "e"}),
    ):  # fmt: skip
        assert c.code(method, **fields) == NOT_FOUND, method
    answer = c.call("Connect")
    assert (answer.shim_pid, answer.task_pid) == (c.shim_pid, 0)
    c.end(delete=False)


def test_codes_of_a_created_task(bench):
    c = bench.container(*SLEEP)
    c.create()
    assert c.code("Create", bundle=str(c.bundle)) == EXISTS
    assert status(c) == "CREATED"
    # a forced removal: Kill works on what was never started, and Wait returns
    waiting = c.task.begin("Wait", id="one")
    assert c.code("Kill", signal=9, all=True) == OK
    assert c.task.end("Wait", waiting).exit_status == 137
    c.end()


def test_delete_of_a_created_task(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.end()
    assert [t for t, _ in bench.events.all()][0] == "/tasks/create"
    assert [t for t, _ in bench.events.all()][-1] == "/tasks/delete"


def test_codes_of_a_running_task(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    assert status(c) == "RUNNING"
    assert c.code("Start") == PRECONDITION
    assert c.code("Delete") == PRECONDITION
    assert c.code("Create", bundle=str(c.bundle)) == EXISTS
    assert c.code("Kill", signal=0) == OK
    assert c.code("Kill", signal=12345) == INVALID
    assert c.code("Kill", exec_id="none", signal=9) == NOT_FOUND
    assert c.code("Start", exec_id="none") == NOT_FOUND
    assert c.code("Wait", exec_id="none") == NOT_FOUND
    # a pod's other task may be there: Shutdown is a question, not an order
    assert c.code("Shutdown") == OK
    assert status(c) == "RUNNING"
    c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    assert c.code("Start") == PRECONDITION
    c.call("Delete")
    for method in ("State", "Wait", "Delete"):
        assert c.code(method) == NOT_FOUND
    c.end(delete=False)


def test_sigterm_is_the_commands_to_handle(bench):
    c = bench.container("/bin/sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    stdout = c.fifo("stdout")
    reader = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
    c.create(stdout=stdout)
    c.call("Start")
    os.set_blocking(reader, True)
    assert os.read(reader, 100) == b"ready\n"
    c.call("Kill", signal=int(signal.SIGTERM))
    assert c.call("Wait").exit_status == 3
    os.close(reader)
    c.end()


def test_many_waits_at_once(bench):
    c = bench.container(*SLEEP)
    c.create()
    others = [c.another(v) for v in ("v2", "v3")]
    waits = [(t, t.begin("Wait", id="one")) for t in [c.task, *others] for _ in range(64)]
    c.call("Start")
    # answers to others are not held up by calls that wait
    assert status(c) == "RUNNING"
    # a connection that goes takes only its own waits along
    others[1].connection.close()
    c.call("Kill", signal=9)
    answers = [t.end("Wait", w) for t, w in waits if t is not others[1]]
    assert len(answers) == 128
    assert all(a == answers[0] for a in answers)
    assert answers[0].exit_status == 137
    c.end()


def armed_timers(pid):
    """it_value of each timerfd of a process that is set."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            continue
        found += [line for line in lines if line.startswith("it_value:") and line.split(":")[1].strip() != "(0, 0)"]
    return found


def test_nothing_in_the_shim_looks_at_the_clock_while_a_task_runs(bench):
    """So a Wait lasts as long as the task, and nobody looks again and again whether it is over."""
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    waits = [c.task.begin("Wait", id="one") for _ in range(3)]
    c.call("Exec", exec_id="e", spec=process(*SLEEP))
    c.call("Start", exec_id="e")
    waits_of_exec = c.task.begin("Wait", id="one", exec_id="e")
    until(lambda: not armed_timers(c.shim_pid), what="a shim without a timer")
    for _ in range(20):  # it stays so: whatever begins anew would be seen in one of these looks
        assert c.another().call("Connect", id="one").task_pid
        assert armed_timers(c.shim_pid) == []
    c.call("Kill", signal=9)
    assert {c.task.end("Wait", w).exit_status for w in (*waits, waits_of_exec)} == {137}
    c.end()


@pytest.mark.parametrize("number", [1, 2, 3, 6, 10, 11, 13, 15, 34, 64])
def test_a_signal_that_kills_is_128_and_its_number(bench, number):
    c = bench.container("/bin/sleep", "600", linux={"resources": {"devices": [{"allow": False, "access": "rwm"}]},
                        "namespaces": [{"type": t} for t in ("ipc", "uts", "mount", "network")]})  # fmt: skip
    c.create()
    c.call("Start")
    c.call("Kill", signal=number)
    assert c.call("Wait").exit_status == 128 + number
    assert c.call("State").exit_status == 128 + number
    assert c.end().exit_status == 128 + number


def test_missing_command_is_an_error_of_create(bench):
    c = bench.container("reaper-no-such-command")
    with pytest.raises(RpcError, match="reaper-no-such-command") as raised:
        c.create()
    assert "/usr/local/sbin:/usr/local/bin" in raised.value.message
    assert "\n" not in raised.value.message
    assert c.code("State") == NOT_FOUND
    assert bench.events.all() == []
    c.end(delete=False)


@pytest.mark.parametrize(
    ("what", "args", "process"),
    [
        ("/etc/passwd", ["/etc/passwd"], {}),
        ("/etc/passwd", ["/bin/true"], {"cwd": "/etc/passwd"}),
        ("/tmp", ["/tmp"], {}),
    ],
    ids=["not_executable", "cwd_is_a_file", "directory"],
)
def test_what_cannot_run_is_an_error_of_create(bench, what, args, process):
    c = bench.container(*args, process=process)
    with pytest.raises(RpcError, match=what):
        c.create()
    assert c.code("State") == NOT_FOUND
    c.end(delete=False)


def test_a_missing_cwd_is_made_in_the_view_alone(bench):
    """As runc does in its root file system; ours is the host's, which must not change."""
    c = bench.container("/bin/sh", "-c", "test $(pwd) = /no/such/directory", process={"cwd": "/no/such/directory"})
    c.create()
    c.call("Start")
    assert c.call("Wait").exit_status == 0
    assert not os.path.exists("/no")
    c.end()


def test_output_reaches_the_fifos_and_ends(bench):
    c = bench.container("/bin/sh", "-c", "echo out; echo err >&2; exit 2")
    files = {name: c.fifo(name) for name in ("stdout", "stderr")}
    seen = {}

    def read(name):
        with open(files[name], "rb") as file:
            seen[name] = file.read()  # until every writer has closed

    readers = [threading.Thread(target=read, args=(n,)) for n in files]
    for each in readers:
        each.start()
    c.create(**files)
    c.call("Start")
    assert c.call("Wait").exit_status == 2
    for each in readers:
        each.join(60)
        assert not each.is_alive(), "the shim keeps its end of a FIFO open"
    assert seen == {"stdout": b"out\n", "stderr": b"err\n"}
    state = c.call("State")
    assert (state.stdout, state.stderr, state.terminal) == (files["stdout"], files["stderr"], False)
    c.end()


def test_a_reader_that_does_not_read_does_not_hold_up_the_exit(bench):
    """More than a pipe holds stays unread; State, Wait and Delete answer all the same."""
    c = bench.container("/bin/sh", "-c", "head -c 300000 /dev/zero & sleep 0.2; exit 3")
    stdout = c.fifo("stdout")
    reader = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
    c.create(stdout=stdout)
    c.call("Start")
    assert c.call("Wait").exit_status == 3
    assert status(c) == "STOPPED"
    os.close(reader)
    c.end()


def test_stdin_ends_with_close_io(bench):
    c = bench.container("/bin/cat")
    files = {name: c.fifo(name) for name in ("stdin", "stdout")}
    reader = os.open(files["stdout"], os.O_RDONLY | os.O_NONBLOCK)
    c.create(**files)
    writer = os.open(files["stdin"], os.O_WRONLY)
    c.call("Start")
    os.write(writer, b"through\n")
    os.set_blocking(reader, True)
    assert os.read(reader, 100) == b"through\n"
    os.close(writer)
    assert status(c) == "RUNNING", "the shim holds stdin open until CloseIO"
    c.call("CloseIO", stdin=True)
    assert c.call("Wait").exit_status == 0
    assert c.code("CloseIO", stdin=True) == OK
    os.close(reader)
    c.end()


def test_terminal_and_its_size(bench):
    c = bench.container("/bin/sh", "-c", "stty size; read x; stty size; exit 4", process={"terminal": True})
    files = {name: c.fifo(name) for name in ("stdin", "stdout")}
    reader = os.open(files["stdout"], os.O_RDONLY | os.O_NONBLOCK)
    c.create(terminal=True, **files)
    writer = os.open(files["stdin"], os.O_WRONLY)
    # before Start: it is remembered
    c.call("ResizePty", width=101, height=31)
    c.call("Start")
    seen = b""

    def says(size):
        nonlocal seen
        try:
            seen += os.read(reader, 100)
        except BlockingIOError:
            pass
        return size in seen

    until(lambda: says(b"31 101"))
    c.call("ResizePty", width=99, height=44)
    os.write(writer, b"\n")
    assert c.call("Wait").exit_status == 4
    until(lambda: says(b"44 99"))
    os.close(writer)
    os.close(reader)
    assert c.call("State").terminal
    c.end()


def process(*args, **changes):
    value = spec(*args, process=changes)["process"]
    return {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process",
            "value": json.dumps(value).encode()}  # fmt: skip


def test_exec(bench):
    c = bench.container(*SLEEP)
    c.create()
    assert c.code("Exec", exec_id="e1", spec=process("/bin/true")) in (OK, PRECONDITION)
    if c.code("State", exec_id="e1") == OK:
        c.call("Delete", exec_id="e1")
    c.call("Start")
    c.call("Exec", exec_id="e2", spec=process("/bin/sh", "-c", "exit 6"))
    state = c.call("State", exec_id="e2")
    assert (state.status, state.pid) == ("CREATED", 0)
    assert c.code("Exec", exec_id="e2", spec=process("/bin/true")) == EXISTS
    assert c.code("Kill", exec_id="e2", signal=9) == PRECONDITION
    waiting = c.task.begin("Wait", id="one", exec_id="e2")
    pid = c.call("Start", exec_id="e2").pid
    assert pid > 0
    assert c.task.end("Wait", waiting).exit_status == 6
    assert c.call("State", exec_id="e2").status == "STOPPED"
    deleted = c.call("Delete", exec_id="e2")
    assert (deleted.pid, deleted.exit_status) == (pid, 6)
    assert c.code("State", exec_id="e2") == NOT_FOUND
    assert status(c) == "RUNNING"
    bench.events.wait("/tasks/exit", id="e2")
    topics = [t for t, e in bench.events.all() if e.get("exec_id") == "e2" or e.get("id") == "e2"]
    assert topics[:3] == ["/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"]
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_exec_of_a_missing_command_frees_its_waits(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    c.call("Exec", exec_id="e", spec=process("reaper-no-such-command"))
    waiting = c.task.begin("Wait", id="one", exec_id="e")
    with pytest.raises(RpcError, match="reaper-no-such-command"):
        c.call("Start", exec_id="e")
    try:
        c.task.end("Wait", waiting)
    except RpcError:
        pass
    c.call("Delete", exec_id="e")
    assert status(c) == "RUNNING"
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


@pytest.mark.parametrize("bad", ["", "../x", "a b", "a" * 77])
def test_bad_exec_ids_are_refused(bench, bad):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    assert c.code("Exec", exec_id=bad, spec=process("/bin/true")) == INVALID
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_the_end_of_init_ends_its_execs_first(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    for name in ("a", "b", "c"):
        c.call("Exec", exec_id=name, spec=process(*SLEEP))
        c.call("Start", exec_id=name)
    c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    for name in ("a", "b", "c"):
        assert c.call("Wait", exec_id=name).exit_status == 137
    assert c.code("Exec", exec_id="late", spec=process("/bin/true")) == PRECONDITION
    c.end()
    exits = [e.id for t, e in bench.events.all() if t == "/tasks/exit"]
    assert sorted(exits[:-1]) == ["a", "b", "c"]
    assert exits[-1] == "one", "init's exit is the last of its container"


def test_pids_hold_execs_and_children(bench):
    c = bench.container("/bin/sh", "-c", "sleep 600 & exec sleep 600")
    pid = c.create()
    c.call("Start")
    c.call("Exec", exec_id="e", spec=process(*SLEEP))
    exec_pid = c.call("Start", exec_id="e").pid
    until(lambda: len(c.call("Pids").processes) == 3)
    pids = {p.pid for p in c.call("Pids").processes}
    assert {pid, exec_pid} < pids
    assert c.code("Kill", signal=9, all=True) == OK
    assert c.call("Wait").exit_status == 137
    c.end()


def test_short_commands_keep_their_pid_and_order(bench):
    """An exit never comes before its start, however fast."""
    for number in range(20):
        name = f"short{number}"
        c = bench.container("/bin/true", name=name)
        pid = c.create()
        assert c.call("Start").pid == pid
        assert c.call("Wait").exit_status == 0
        assert c.call("State").pid == pid
        c.end()
    for number in range(20):
        topics = [t for t, e in bench.events.all() if e.container_id == f"short{number}"]
        assert topics == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]


def test_events_wait_for_a_containerd_that_is_away(bench):
    bench.events.close()
    c = bench.container("/bin/sh", "-c", "exit 8")
    c.create()
    c.call("Start")
    assert c.call("Wait").exit_status == 8
    bench.events.open()
    assert bench.events.wait("/tasks/exit", container_id="one").exit_status == 8
    c.end()


def test_kill_of_the_shim_and_delete(bench):
    c = bench.container("/bin/sh", "-c", "sleep 600 & sleep 600 & exec sleep 600")
    pid = c.create()
    c.call("Start")
    until(lambda: len(c.call("Pids").processes) == 3)
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    answer = bench.delete("one")
    assert (answer.pid, answer.exit_status) == (pid, 137)
    assert answer.exited_at.seconds > 0
    assert not os.path.exists(c.path)


def test_the_exit_code_is_on_disk_for_delete(bench):
    """The shim dies after its task has ended but before anybody asked."""
    c = bench.container("/bin/sh", "-c", "exit 19")
    c.create()
    c.call("Start")
    c.call("Wait")
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    assert bench.delete("one").exit_status == 19


def test_restarted_containerd_finds_everything(bench):
    c = bench.container(*SLEEP)
    pid = c.create()
    c.call("Start")
    c.task.connection.close()
    again = c.another("v2")
    answer = again.call("Connect", id="one")
    assert (answer.shim_pid, answer.task_pid) == (c.shim_pid, pid)
    assert [p.pid for p in again.call("Pids", id="one").processes] == [pid]
    c.task = again
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_two_containers_of_a_pod_end_apart(bench):
    annotations = {"io.containerd.reaper.v2.group": "pod"}
    one = bench.container(*SLEEP, name="one", annotations=annotations)
    two = bench.container(*SLEEP, name="two", annotations=annotations)
    assert one.path == two.path
    for c in (one, two):
        c.create()
        c.call("Start")
    one.call("Kill", signal=9)
    one.call("Wait")
    one.call("Delete")
    one.call("Shutdown")
    # `delete` of one container leaves the shim and its other container alone
    bench.delete("one")
    assert status(two) == "RUNNING"
    two.call("Kill", signal=9)
    assert two.call("Wait").exit_status == 137
    two.end()


def test_sandbox_never_runs_the_pause_program(bench):
    annotations = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "one"}
    c = bench.container("/pause", annotations=annotations)
    pid = c.create()
    c.call("Start")
    assert status(c) == "RUNNING"
    assert os.path.exists(f"/proc/{pid}/ns/net")
    c.call("Kill", signal=int(signal.SIGTERM))
    c.call("Wait")
    c.end()


def test_create_of_an_id_that_was_never_started(bench):
    """containerd 2.x copies the sandbox's address and calls Create at once."""
    annotations = {"io.containerd.reaper.v2.group": "one"}
    c = bench.container(*SLEEP, annotations=annotations)
    c.create()
    bundle = bench.make_bundle("late", spec("/bin/sh", "-c", "exit 12", annotations=annotations))
    other = c.another()
    other.call("Create", id="late", bundle=str(bundle))
    other.call("Start", id="late")
    assert other.call("Wait", id="late").exit_status == 12
    other.call("Delete", id="late")
    bench.delete("late")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_state_of_unknown_ids(bench):
    c = bench.container(*SLEEP)
    payload = TASK.encode("StateRequest", {"id": "x" * 100_000})
    with pytest.raises(RpcError) as raised:
        c.task.connection.call(c.task.service, "State", payload)
    assert raised.value.code in (NOT_FOUND, INVALID)
    assert len(raised.value.message) < 4096
    c.end(delete=False)


def test_the_create_event_has_the_mounts_that_were_asked_for(bench):
    """A subscriber sees containerd's request, as behind its own shim; nothing of it is mounted."""
    c = bench.container("/bin/true")
    mounts = [{"type": "overlay", "source": "overlay", "options": ["lowerdir=/a:/b", "ro"]},
              {"type": "bind", "source": "/no/such/place", "target": "/data"}]  # fmt: skip
    pid = c.create(rootfs=mounts)
    event = bench.events.wait("/tasks/create", container_id="one")
    assert [(m.type, m.source, m.target, list(m.options)) for m in event.rootfs] == [
        ("overlay", "overlay", "", ["lowerdir=/a:/b", "ro"]), ("bind", "/no/such/place", "/data", [])]  # fmt: skip
    assert (event.pid, event.checkpoint) == (pid, "")
    c.call("Start")
    c.call("Wait")
    c.end()
