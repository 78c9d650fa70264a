"""Fixtures of all tiers: machines, and the census around every test."""

import os
import pathlib
import re
import subprocess
import shutil

import pytest

import census
from bench import Bench
from life import Life
from machine import Bare, Host, Node, run
from pods import Pods

SUITES = ["bookworm", "trixie", "forky"]  # containerd 1.6.20, 1.7.24, 2.1.x

_machines = {}


def machine(name):
    """Machines are made at first use and kept for the session."""
    if name not in _machines:
        makers = {"host": Host, "bare": Bare}
        make = makers.get(name, lambda: Node(name, f"reaper-test-{os.getpid()}-{name}"))
        _machines[name] = make()
    return _machines[name]


def sees_the_engine():
    """Whether pids mean the same to us and to the engine: another pid namespace would take every run for a dead one."""
    return any(path.read_text() == "dockerd\n" for path in pathlib.Path("/proc").glob("[0-9]*/comm") if path.exists())


@pytest.fixture(scope="session", autouse=True)
def remove_machines():
    # nodes of a run that was killed: their names hold its pid
    listed = sees_the_engine() and shutil.which("docker") and run(["docker", "ps", "-a", "--filter", "label=io.x-k8s.kind.cluster",
                  "--format", "{{.Names}}"], check=False)  # fmt: skip
    for name in listed.stdout.split() if listed else ():
        match = re.match(r"reaper-test-(\d+)-", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            run(["docker", "rm", "-fv", name], check=False)
    yield
    for each in _machines.values():
        if hasattr(each, "remove"):
            each.remove()
    _machines.clear()


@pytest.fixture(params=["host", *SUITES])
def anywhere(request, checked):
    """Each kind of machine in turn: this one, and a node per version of containerd."""
    return checked(request.param)


@pytest.fixture(params=SUITES)
def node(request, checked):
    """A node per version of containerd."""
    return checked(request.param)


@pytest.fixture
def checked(request):
    """checked(NAME) gives a machine whose census is compared when the test has ended."""
    taken = []
    # where tests are run once more, what they had left when they failed may go at any time
    goes = request.config.getoption("--again")

    def get(name):
        each = machine(name)
        # groups of before the test; none of ours has pods now
        census.collect_groups(each)
        taken.append((each, census.take(each)))
        return each

    yield get
    failures = []
    for each, before in taken:
        lines = census.settle(each, before, lambda line: goes and line.startswith("gone: "))
        if lines:
            failures += [f"{each.name}: {line}" for line in lines]
            # the next test starts on a clean machine
            each.rebuild()
    if failures:
        pytest.fail("the test left traces:\n" + "\n".join(failures), pytrace=False)


@pytest.fixture
def pods(node):
    """Makes pods on the node; they are removed when the test has ended."""
    made = Pods(node)
    yield made
    made.close()


@pytest.fixture
def bench(checked):
    """This machine without a daemon; the test makes containerd's calls on the shim itself."""
    # the census first: what the bench itself leaves counts too
    checked("bare")
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def lives(bench):
    """lives(POD, PROGRAM, …) leads a life: (it, what is wrong with what was said and with what is left)."""
    (bench.directory / "history.jsonl").touch()
    before = census.take(bench)
    # hundreds of lives: somebody else's cgroups come and go meanwhile
    passing = lambda line: " cgroup " in line and f"/reaper-component-{os.getpid()}" not in line

    def lead(pod, program=None, **more):
        bench.settings["REAPER_OVERLAY_ISOLATION"] = "pod" if pod else "node"
        if program == "delete":  # it has something to do when the shim is killed under a running task
            more["cut"] = f"Wait {'two' if pod else 'one'}"
        if program == "release":
            more["lost"] = f"Wait {'two' if pod else 'one'}"
        life = Life(bench, pod, program, **more).lead()
        return life, life.wrong + census.settle(bench, before, passing)

    return lead


@pytest.fixture
def sources(bench):
    """A tmpfs of this machine for volumes; gone with the test."""
    directory = bench.directory / "volumes"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "reaper-test", directory], check=True)
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


@pytest.fixture
def stock():
    """stock(SUITE) makes a node as Debian ships it, in a cluster of its own, for one test."""
    made = []

    def make(suite, **options):
        number = len(made)
        cluster = f"reaper-test-{os.getpid()}"
        each = Node(suite, f"{cluster}-stock{number}", cluster=cluster, install=False, prepare=False, **options)
        made.append(each)
        return each

    yield make
    for each in made:
        each.remove()
