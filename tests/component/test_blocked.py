"""The shim has one loop: whatever does not get on, or does not answer, holds up its own call and no other."""

import json
import os
import subprocess

import pytest

from bench import exec_spec
from birth import HeldBirth
from ttrpc import NOT_FOUND, RpcError

pytestmark = pytest.mark.submission("a shim that waits for one thing answers nobody; milliseconds each")

SANDBOX = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "one"}
SLEEP = ("/bin/sleep", "600")


def killed(c):
    c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    c.end()


def held(c, method, **fields):
    """The answer of a call whose child stands still at its birth while others are answered."""
    other = c.another()
    with HeldBirth(c.shim_pid) as birth:
        stream = c.task.begin(method, id="one", **fields)
        birth.wait()
        assert other.call("Connect", id="one").shim_pid == c.shim_pid
    return c.task.end(method, stream)


def test_the_birth_of_a_sandbox(bench):
    c = bench.container("/pause", annotations=SANDBOX)
    held(c, "Create", bundle=str(c.bundle))
    c.call("Start")
    killed(c)


def test_the_birth_of_who_runs_hooks(bench):
    done = bench.directory / "done"
    c = bench.container(*SLEEP, hooks={"poststart": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo done > {done}"]}]})
    c.create()
    held(c, "Start")
    assert done.read_text() == "done\n"
    killed(c)


def test_the_birth_of_a_logger(bench):
    c = bench.container(*SLEEP)
    logger = bench.directory / "logger"
    logger.write_text("#!/bin/sh\nexec 5>&-\ncat <&3 >/dev/null\n")
    logger.chmod(0o755)
    held(c, "Create", bundle=str(c.bundle), stdout=f"binary://{logger}")
    c.call("Start")
    killed(c)


def test_the_birth_of_who_writes_limits(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    limits = {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources",
              "value": json.dumps({"cpu": {"shares": 512}}).encode()}  # fmt: skip
    held(c, "Update", resources=limits)
    killed(c)


def test_a_logger_that_cannot_be_run_fails_an_exec_alone(bench):
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    bad = bench.directory / "bad"
    bad.write_text("no program\n")
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/true"), stdout=f"binary://{bad}")
    with pytest.raises(RpcError, match=f"{bad}: EACCES|{bad}: .*denied"):
        c.call("Start", exec_id="e")
    c.call("Delete", exec_id="e")
    killed(c)


def test_a_create_that_fails_behind_the_birth_of_its_child(bench):
    """The child is there, and its pid does not go on disk any more; a tracer keeps the child from being reaped."""
    c = bench.container(*SLEEP)
    other = c.another()

    def seal():
        subprocess.run(["mount", "--bind", c.bundle, c.bundle], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", c.bundle], check=True)

    try:
        with HeldBirth(c.shim_pid) as birth:
            stream = c.task.begin("Create", id="one", bundle=str(c.bundle))
            child = birth.wait(seal)
            assert other.call("Connect", id="one").shim_pid == c.shim_pid
        with pytest.raises(RpcError, match="(?i)read-only"):
            c.task.end("Create", stream)
    finally:
        subprocess.run(["umount", c.bundle], check=True)
    assert not os.path.exists(f"/proc/{child}")
    assert other.code("State", id="one") == NOT_FOUND
    c.create()
    c.call("Start")
    killed(c)
