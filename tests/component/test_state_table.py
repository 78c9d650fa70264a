"""Each method of the Task service in each state, of a container and of an exec, on a real shim.

The table is written from containerd's contract, not from the product: one row a state, one cell a
method, no cell empty. A cell is the code of the answer, or PARKS for a call that is answered later.
"""

import pytest

from bench import exec_spec
from ttrpc import EXISTS, NOT_FOUND, OK, PRECONDITION, UNIMPLEMENTED, RpcError
from waiting import until

pytestmark = pytest.mark.submission("the codes that containerd's clients go by; a second or two a row")

PARKS = "parks"
N, P, U, E = NOT_FOUND, PRECONDITION, UNIMPLEMENTED, EXISTS

METHODS = ["State", "Create", "Start", "Delete", "Pids", "Pause", "Resume", "Checkpoint", "Kill", "KillAll",
           "Exec", "ResizePty", "CloseIO", "Update", "Wait", "Stats", "Connect", "Shutdown"]  # fmt: skip

CONTAINER = {
    #           State Crea Star Dele Pids Paus Resu Chec Kill All Exec Resi Clos Upda Wait   Stat Conn Shut
    "deleted": [N,    OK,  N,   N,   N,   N,   N,   N,   N,   N,  N,   N,   N,   N,   N,     N,   OK,  OK],
    "created": [OK,   E,   OK,  OK,  OK,  P,   P,   U,   OK,  OK, OK,  OK,  OK,  OK,  PARKS, OK,  OK,  OK],
    "running": [OK,   E,   P,   P,   OK,  OK,  P,   U,   OK,  OK, OK,  OK,  OK,  OK,  PARKS, OK,  OK,  OK],
    "paused":  [OK,   E,   P,   P,   OK,  P,   OK,  U,   OK,  OK, P,   OK,  OK,  OK,  PARKS, OK,  OK,  OK],
    "stopped": [OK,   E,   P,   OK,  OK,  P,   P,   U,   N,   N,  P,   OK,  OK,  N,   OK,    OK,  OK,  OK],
}  # fmt: skip

EXEC_METHODS = ["State", "Exec", "Start", "Delete", "Kill", "ResizePty", "CloseIO", "Wait"]

EXEC = {
    #           State Exec Star Dele Kill Resi Clos Wait
    "deleted": [N,    OK,  N,   N,   N,   N,   N,   N],
    "created": [OK,   E,   OK,  OK,  P,   OK,  OK,  PARKS],
    "running": [OK,   E,   P,   P,   OK,  OK,  OK,  PARKS],
    "paused":  [OK,   P,   P,   P,   OK,  OK,  OK,  PARKS],
    "stopped": [OK,   E,   P,   OK,  N,   OK,  OK,  OK],
}  # fmt: skip

FIELDS = {
    "Kill": {"signal": 9},
    "KillAll": {"signal": 9, "all": True},
    "ResizePty": {"width": 80, "height": 25},
    "CloseIO": {"stdin": True},
    "Checkpoint": {"path": "/nonexistent"},
    "Update": {"resources": {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
                             "value": b'{"pids": {"limit": 100}}'}},  # fmt: skip
}

# what leaves the state when it is answered with OK; the next cell begins with a new container
MOVES = {"Create", "Start", "Delete", "Pause", "Resume", "Kill", "KillAll", "Exec"}

SLEEP = ("/bin/sleep", "600")
STATUS = {"created": "CREATED", "running": "RUNNING", "paused": "PAUSED", "stopped": "STOPPED"}


class Subject:
    """A container (and an exec in it) that is brought into a state, and taken away again."""

    def __init__(self, bench, name, state, exec_state=None):
        self.c = bench.container(*SLEEP, name=name)
        self.exec_id = "e" if exec_state else ""
        self.made = state != "deleted"
        if self.made:
            self.c.create()
        if state in ("running", "paused", "stopped"):
            self.c.call("Start")
        if exec_state:
            self.bring_exec(exec_state)
        if state == "paused":
            self.c.call("Pause")
        if state == "stopped":
            self.c.call("Kill", signal=9)
            self.c.call("Wait")

    def bring_exec(self, state):
        if state == "deleted":
            return
        self.c.call("Exec", exec_id="e", spec=exec_spec(*SLEEP))
        if state != "created":
            self.c.call("Start", exec_id="e")
        if state == "stopped":
            self.c.call("Kill", exec_id="e", signal=9)
            self.c.call("Wait", exec_id="e")

    def fields(self, method):
        fields = dict(FIELDS.get(method, {}))
        if method == "Create":
            fields["bundle"] = str(self.c.bundle)
        elif method == "Exec":
            fields.update(exec_id=self.exec_id or "fresh", spec=exec_spec("/bin/true"))
        elif self.exec_id:
            fields["exec_id"] = self.exec_id
        return "Kill" if method == "KillAll" else method, fields

    def answer(self, method):
        method, fields = self.fields(method)
        code = self.c.code(method, **fields)
        self.made = self.made or (method == "Create" and code == OK)
        return code

    def parks(self, method):
        """The call is not answered while others are; and it is, with the status, at the end."""
        method, fields = self.fields(method)
        other = self.c.another()
        stream = other.begin(method, id=self.c.name, **fields)
        # behind it on the same connection, and answered
        assert other.code("Connect", id=self.c.name) == OK
        assert stream not in other.connection.kept, f"{method} was answered at once"
        return lambda: other.end(method, stream)

    def end(self):
        for method, fields in (("Kill", {"signal": 9, "all": True}), ("Wait", {}), ("Delete", {})):
            assert self.c.code(method, **fields) in (OK, NOT_FOUND)
        if not self.made:  # a place is kept for a task that `start` has promised
            self.c.end(delete=False)
            return
        self.c.call("Shutdown")
        until(self.c.gone, what="the shim's end")
        self.c.bench.delete(self.c.name)


def run_row(bench, methods, row, make):
    wrong, number, subject, pending = [], 0, None, []

    def fresh():
        nonlocal number
        number += 1
        return make(f"c{number}")

    for method, want in zip(methods, row, strict=True):
        subject = subject or fresh()
        if want == PARKS:
            pending.append(subject.parks(method))
            continue
        got = subject.answer(method)
        if got != want:
            wrong.append(f"{method}: {got}, not {want}")
        if got == OK and method in MOVES:
            finish(subject, pending)
            subject = None
    if subject:
        finish(subject, pending)
    assert not wrong, wrong


def finish(subject, pending):
    # what is parked is answered with the end, or with the Delete of what was never started
    c = subject.c
    never = subject.exec_id and c.code("State", exec_id="e") == OK and c.call("State", exec_id="e").status == "CREATED"
    if never:
        c.call("Delete", exec_id="e")
    c.code("Resume")
    c.code("Kill", signal=9, all=True)
    for end in pending:
        if not never:
            assert end().exit_status == 137
            continue
        with pytest.raises(RpcError) as raised:
            end()
        assert raised.value.code == NOT_FOUND
    pending.clear()
    subject.end()


@pytest.mark.parametrize("state", CONTAINER)
def test_container(bench, state):
    run_row(bench, METHODS, CONTAINER[state], lambda name: Subject(bench, name, state))


@pytest.mark.parametrize("state", EXEC)
def test_exec(bench, state):
    of_container = "paused" if state == "paused" else "running"
    made = "running" if state == "paused" else state
    run_row(bench, EXEC_METHODS, EXEC[state], lambda name: Subject(bench, name, of_container, made))


@pytest.mark.parametrize("state", STATUS)
def test_state_says_so(bench, state):
    subject = Subject(bench, "c", state)
    answer = subject.c.call("State")
    assert answer.status == STATUS[state]
    assert (answer.exited_at.seconds > 0) == (state == "stopped")
    finish(subject, [])


def test_an_exec_of_a_container_that_is_not_running(bench):
    """Registered before the start or the pause: it cannot be started until the container runs."""
    subject = Subject(bench, "c", "created", "created")
    c = subject.c
    assert c.code("Start", exec_id="e") == PRECONDITION
    c.call("Start")
    # a Start that failed leaves an exec that has ended
    assert c.call("State", exec_id="e").status == "STOPPED"
    c.call("Delete", exec_id="e")
    finish(subject, [])
