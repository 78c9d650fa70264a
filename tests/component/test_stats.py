"""Stats: both metric formats against what the kernel's own files say."""

import os

import pytest

from cgroups import directories, flat, is_v1, number
from ttrpc import NOT_FOUND, metrics
from waiting import until

pytestmark = pytest.mark.submission("kubectl top, HPA and eviction read Stats; a second each")

SLEEP = ("/bin/sleep", "600")
# burns time, keeps 40 MB, has two processes
BUSY = ("/bin/sh", "-c", "sleep 600 & x=$(head -c 40000000 /dev/zero | tr '\\0' x); while :; do :; done")


@pytest.fixture
def busy(bench):
    limits = {"memory": {"limit": 200 << 20}, "pids": {"limit": 77}}
    c = bench.container(*BUSY)
    config = c.bundle / "config.json"
    config.write_text(config.read_text().replace('"resources": {', '"resources": {"memory": {"limit": %d}, "pids": {"limit": %d}, '
                      % (limits["memory"]["limit"], limits["pids"]["limit"])))  # fmt: skip
    c.pid = c.create()
    c.call("Start")
    yield c
    c.call("Kill", signal=9, all=True)
    c.call("Wait")
    c.end()


def test_stats_are_the_kernels_numbers(busy):
    c = busy
    where = directories(c.pid)
    first, version = metrics(c.call("Stats"))
    assert version == ("v1" if is_v1() else "v2"), "containerd decodes one of the two, by its own look at the host"
    if version == "v1":
        used = lambda m: m.cpu.usage.total  # noqa: E731
        resident = lambda m: m.memory.total_rss  # noqa: E731
        counted = number(where["cpuacct"] / "cpuacct.usage")
    else:
        used = lambda m: m.cpu.usage_usec  # noqa: E731
        resident = lambda m: m.memory.anon  # noqa: E731
        counted = flat(where[""] / "cpu.stat")["usage_usec"]
    # it only grows: what was read before is at most what the kernel says now, and the other way round
    assert used(first) <= counted
    now = until(lambda: metrics(c.call("Stats"))[0] if used(metrics(c.call("Stats"))[0]) > counted else None)
    assert used(now) >= counted
    has_pids = "pids" in where or (where.get("") and (where[""] / "pids.max").exists())
    has_memory = "memory" in where or (where.get("") and (where[""] / "memory.max").exists())
    if has_pids:
        assert now.pids.limit == 77
        assert now.pids.current >= 2
    else:
        assert now.pids is None, "nobody counts processes here"
    if not has_memory:
        assert now.memory is None, "nobody counts memory here"
        return
    until(lambda: resident(metrics(c.call("Stats"))[0]) > 40_000_000)
    now, _ = metrics(c.call("Stats"))
    if version == "v1":
        assert (now.memory.usage.limit, now.memory.hierarchical_memory_limit) == (200 << 20, 200 << 20)
        assert now.memory.usage.usage > 40_000_000
        assert now.memory.usage.max >= now.memory.usage.usage or now.memory.usage.max > 40_000_000
        stat = flat(where["memory"] / "memory.stat")
        assert now.memory.total_pg_fault <= stat["total_pgfault"]
        assert now.memory_oom_control.oom_kill == 0
        assert now.cpu.throttling is not None
    else:
        assert now.memory.usage_limit == 200 << 20
        assert now.memory.usage > 40_000_000
        assert now.memory.pgfault <= flat(where[""] / "memory.stat")["pgfault"]
        assert now.memory_events.oom_kill == 0
        if (where[""] / "memory.pressure").exists():
            assert now.memory.psi.some is not None


def test_stats_of_every_state(bench):
    c = bench.container(*SLEEP)
    assert c.code("Stats") == NOT_FOUND
    c.create()
    assert metrics(c.call("Stats"))
    c.call("Start")
    assert metrics(c.call("Stats"))
    c.call("Kill", signal=9)
    c.call("Wait")
    # containerd 2.3 and later reads oom_kill after the exit and before Delete
    assert metrics(c.call("Stats"))
    c.call("Delete")
    assert c.code("Stats") == NOT_FOUND
    c.end(delete=False)


def test_stats_of_a_sandbox(bench):
    """A pod's sandbox is a task of its own, and kubelet asks for it, too."""
    c = bench.container("/pause", annotations={"io.kubernetes.cri.container-type": "sandbox",
                        "io.kubernetes.cri.sandbox-id": "one"})  # fmt: skip
    pid = c.create()
    c.call("Start")
    answer, version = metrics(c.call("Stats"))
    where = directories(pid)
    if version == "v1" and "pids" in where:
        assert answer.pids.current == 1
    assert answer.cpu is not None
    assert os.path.exists(f"/proc/{pid}")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
