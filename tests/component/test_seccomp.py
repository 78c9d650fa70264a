"""Seccomp of a whole container; the actions and operators one by one are unit tests."""

import array
import fcntl
import json
import os
import socket
import struct
import threading

import pytest

from bench import spec
from ttrpc import RpcError

pytestmark = pytest.mark.submission("a profile that is dropped is a hole; milliseconds each")

RECV, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_…
EDQUOT = 122

MKDIR = ("/bin/sh", "-c", "LC_ALL=C mkdir /tmp/reaper-seccomp 2>&1 > /dev/null | grep -c 'quota'")


def exec_spec(*args, **changes):
    return {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process",
            "value": json.dumps(spec(*args, process=changes)["process"]).encode()}  # fmt: skip


def changes(profile):
    """`linux` of a spec with this profile beside what is there anyway."""
    return {"linux": {**spec("x")["linux"], "seccomp": profile}}


def notify(path, *names, **members):
    return {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path),
            "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}], **members}  # fmt: skip


class Agent:
    """Takes one listener and answers every call on it with an errno."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.states = []
        self.calls = 0
        self.threads = []
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def serve(self, connection):
        data, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
        fds = array.array("i")
        fds.frombytes(control[0][2])
        while piece := connection.recv(65536):
            data += piece
        connection.close()
        self.states.append((json.loads(data), os.readlink(f"/proc/self/fd/{fds[0]}")))
        while True:
            question = bytearray(80)
            try:
                fcntl.ioctl(fds[0], RECV, question)
                self.calls += 1
                number = struct.unpack_from("Q", question)[0]
                fcntl.ioctl(fds[0], SEND, bytearray(struct.pack("QqiI", number, 0, -EDQUOT, 0)))
            except OSError:
                break  # nobody is left that the filter holds
        os.close(fds[0])

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.accepting.join(30)
        for each in self.threads:
            each.join(30)
            assert not each.is_alive(), "somebody holds the listener"


@pytest.fixture
def agent(bench):
    made = Agent(bench.directory / "agent")
    yield made
    made.close()


@pytest.mark.parametrize("no_new_privs", [True, False], ids=["nnp", "without_nnp"])
def test_an_agent_answers_for_the_kernel(bench, agent, no_new_privs):
    profile = notify(agent.path, "mkdir", "mkdirat", listenerMetadata="of one")
    c = bench.container(*MKDIR, process={"noNewPrivileges": no_new_privs}, annotations={"a": "b"}, **changes(profile))
    pid = c.create()
    c.call("Start")
    assert c.call("Wait").exit_status == 0, "mkdir has not failed with the agent's errno"
    c.end()
    (state, link), = agent.states
    assert link == "anon_inode:seccomp notify"
    assert (state["fds"], state["pid"], state["metadata"]) == (["seccompFd"], pid, "of one")
    inner = state["state"]
    assert (inner["id"], inner["pid"], inner["bundle"]) == ("one", pid, str(c.bundle))
    assert inner["status"] in ("creating", "created")
    assert inner["annotations"] == {"a": "b"}
    assert agent.calls == 1


def test_an_exec_has_a_listener_of_its_own(bench, agent):
    c = bench.container("/bin/sleep", "600", **changes(notify(agent.path, "mkdir", "mkdirat")))
    pid = c.create()
    c.call("Start")
    c.call("Exec", exec_id="e", spec=exec_spec(*MKDIR))
    exec_pid = c.call("Start", exec_id="e").pid
    assert c.call("Wait", exec_id="e").exit_status == 0
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
    state, _ = agent.states[1]
    assert (state["pid"], state["state"]["pid"], state["state"]["status"]) == (exec_pid, pid, "running")


def test_a_process_that_does_nothing_else_after_the_filter_than_runc_does(bench, agent):
    """A profile that asks for nearly everything: no call of ours waits before the agent is told."""
    names = ("read", "sendmsg", "sendto", "recvmsg", "close", "mkdir", "mkdirat")
    c = bench.container("/bin/sh", "-c", "kill -9 $$", **changes(notify(agent.path, *names)))
    c.create()
    # the agent answers all of them with an error: the program cannot load its libraries, or the
    # runtime cannot read what the shim says; but somebody is asked, and it ends
    try:
        c.call("Start")
    except RpcError:
        pass
    assert c.call("Wait").exit_status != 0
    assert agent.calls > 0
    c.end()


def test_an_agent_that_is_not_there_is_an_error_that_names_it(bench):
    path = bench.directory / "nobody"
    c = bench.container("/bin/true", **changes(notify(path, "mkdir")))
    c.create()
    with pytest.raises(RpcError, match=f"linux.seccomp.listenerPath: {path}: "):
        c.call("Start")
    c.call("Wait")
    c.end()


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]},
         "needs listenerPath"),
        (notify("/run/x", "write"), "not for write"),
        (notify("x", "mkdir"), 'listenerPath: "x": must be absolute'),
        ({"defaultAction": "SCMP_ACT_MAYBE"}, "SCMP_ACT_MAYBE: unknown"),
    ],
    ids=["no_agent", "write", "relative", "unknown_action"],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(bench, profile, text):
    c = bench.container("/bin/true", **changes(profile))
    with pytest.raises(RpcError, match=text):
        c.create()
    c.end(delete=False)


def test_a_filter_binds_the_program_its_children_and_its_execs(bench):
    profile = {"defaultAction": "SCMP_ACT_ALLOW",
               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": EDQUOT}]}  # fmt: skip
    c = bench.container("/bin/sh", "-c", "LC_ALL=C mkdir /tmp/x 2>&1 | grep -c quota && exec sleep 600", **changes(profile))
    c.create()
    c.call("Start")
    c.call("Exec", exec_id="e", spec=exec_spec(*MKDIR))
    c.call("Start", exec_id="e")
    assert c.call("Wait", exec_id="e").exit_status == 0
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
