"""How many instructions an operation takes: a number that does not depend on the machine's load."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import bench as benches
from bench import give_up, spec
from faults import sysfault
from machine import BINARIES, SOURCE
from ttrpc import NOT_FOUND
from waiting import until

pytestmark = pytest.mark.submission("what becomes slower is seen when it is changed, on any machine; seconds each")

TABLE = SOURCE / "tests/bench/instructions.txt"
REASONS = SOURCE / "tests/bench/syscalls.txt"
STATES = 200
LONG = ("/bin/sleep", "600")


def expected():
    lines = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {name: int(count) for name, count in lines}


def check(name, count):
    """REAPER_INSTRUCTIONS=FILE: the lines for the table, where somebody changes it."""
    if path := os.environ.get("REAPER_INSTRUCTIONS"):
        with open(path, "a") as file:
            file.write(f"{name} {count}\n")
        return
    limit = expected()[name]
    assert count <= limit * 1.1, f"{name} takes {count} instructions, {TABLE.name} has {limit}"
    assert count >= limit / 2, f"{name} takes {count} instructions, {TABLE.name} still has {limit}: put it right there"


def callgrind(directory):
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/callgrind.%p", "--quiet"]


def counted(path):
    return int(re.search(r"^(?:summary|totals): (\d+)", pathlib.Path(path).read_text(), re.M).group(1))


@pytest.fixture
def counting(bench, monkeypatch):
    """The shim under callgrind; counts(PID) gives what that process took, when it has ended."""
    assert shutil.which("valgrind"), "valgrind is not installed"
    directory = bench.directory / "counts"
    directory.mkdir()
    wrapper = bench.directory / "containerd-shim-reaper-v2"
    line = " ".join(callgrind(directory))
    wrapper.write_text(f"#!/bin/sh\nexec {line} {BINARIES}/containerd-shim-reaper-v2 \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(benches, "SHIM", wrapper)
    return lambda pid: until(lambda: (p := directory / f"callgrind.{pid}").exists() and "totals:" in p.read_text() and counted(p))


def start(bench, name):
    """`start` as bench.start, for a shim whose tracer talks on stderr: (socket, its pid)."""
    bundle = bench.make_bundle(name, spec(*LONG))
    made = subprocess.Popen([str(benches.SHIM), "-namespace", benches.NAMESPACE, "-address", bench.address, "-publish-binary",
                             "/usr/bin/containerd", "-id", name, "start"], cwd=bundle, env=bench.environment(),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    answer = made.communicate()[0].decode()
    assert made.returncode == 0 and answer.startswith("unix:///"), answer
    return answer.removeprefix("unix://"), made.pid


def whole_life(bench, name, states):
    path, started = start(bench, name)
    c = bench.adopt(name, path)
    for _ in range(states):
        assert c.code("State") == NOT_FOUND
    give_up(c.task, name)
    until(c.gone, what="the shim's end")
    bundle = bench.directory / name
    made = subprocess.Popen([str(benches.SHIM), "-namespace", benches.NAMESPACE, "-address", bench.address, "-publish-binary",
                             "/usr/bin/containerd", "-id", name, "-bundle", str(bundle), "delete"], cwd=bundle,
                            env=bench.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)  # fmt: skip
    assert made.wait() == 0
    return started, c.shim_pid, made.pid


def test_the_shims_operations_take_what_they_took(bench, counting):
    started, shim, deleted = whole_life(bench, "one", 0)
    check("start", counting(started))
    check("delete", counting(deleted))
    _, more, _ = whole_life(bench, "two", STATES)
    check("state", (counting(more) - counting(shim)) // STATES)


def test_a_config_plan_takes_what_it_took(bench):
    bundle = bench.make_bundle("one", spec("/bin/true"))
    words = [*callgrind(bench.directory), f"{BINARIES}/reaper-runtime", "plan", "--bundle", str(bundle)]
    made = subprocess.Popen(words, stdout=subprocess.PIPE, env=bench.environment(), stdin=subprocess.DEVNULL)
    text = made.communicate()[0].decode()
    assert made.returncode == 0 and "/bin/true" in text
    check("plan", counted(bench.directory / f"callgrind.{made.pid}"))


def calls(bench, name, comm, behind):
    """The names of the system calls that `start`, or what is named so behind it, makes for a task of true."""
    bundle, listed = bench.make_bundle(name, spec("/bin/true")), bench.directory / f"{name}.calls"
    made = sysfault([benches.SHIM, "-namespace", benches.NAMESPACE, "-address", bench.address, "-publish-binary",
                     "/usr/bin/containerd", "-id", name, "start"], comm=comm, follow=behind, detach=behind, list=listed,
                    cwd=bundle, environment=bench.environment())  # fmt: skip
    assert made.status == 0, made.stderr
    c = bench.adopt(name, made.stdout.removeprefix("unix://"))
    c.create()
    c.call("Start")
    assert c.call("Wait").exit_status == 0
    c.end()
    if behind:
        until(made.has_come, what="sysfault's report")
        made.close()
    return [line.split()[2] for line in listed.read_text().splitlines()]


def test_each_system_call_of_start_and_init_has_its_reason(bench):
    """As docs/BENCHMARKS.md counts them: two containers of the group are there. The reasons are tests/bench/syscalls.txt."""
    lines = [line.split() for line in REASONS.read_text().splitlines() if line and not line.startswith("#")]
    others = [bench.container(*LONG, name=name) for name in ("one", "two")]
    for each in others:
        each.create()
        each.call("Start")
    for program, comm, behind in (("start", None, False), ("init", "reaper-runtime", True)):
        made = calls(bench, program, comm, behind)
        unexplained = set(made) - {call for of, call, *_ in lines if of == program}
        assert not unexplained, f"{program}: {unexplained}: what for is a line of {REASONS.name}"
        check(f"{program}_calls", len(made))
    for each in others:
        each.call("Kill", signal=9)
        each.call("Wait")
        each.end()
