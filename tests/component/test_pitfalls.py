"""What went wrong in other shims and has no better place; the whole list is tests/contract-pitfalls.txt."""

import os

import pytest

from bench import Container, exec_spec, spec
from ttrpc import NOT_FOUND, OK
from waiting import until

pytestmark = pytest.mark.submission("a rule of the shim contract each, from another shim's tracker; milliseconds each")

SLEEP = ("/bin/sleep", "600")


@pytest.mark.full("a place is kept for two minutes, and a shim without a task stays for one")
def test_a_shim_that_nobody_needs_leaves_by_itself(bench):
    """containerd fails after `start`; containerd 2.0.0 to 2.1.1 sends no Shutdown for a container of a pod."""
    unused = Container(bench, "unused", bench.start("unused", spec(*SLEEP)))
    forgotten = bench.container("/bin/true", name="forgotten")
    forgotten.create()
    forgotten.call("Start")
    forgotten.call("Wait")
    forgotten.call("Delete")
    for each in (forgotten, unused):
        each.task.connection.close()
        until(each.gone, limit=400, what=f"the end of the shim of {each.name}")
        assert not os.path.exists(each.path)
        bench.delete(each.name)


def test_a_client_that_opens_none_of_its_fifos_holds_up_nobody(bench):
    """Neither Create and Start, nor an exec, nor the end."""
    c = bench.container(*SLEEP)
    c.create(**{name: c.fifo(name) for name in ("stdin", "stdout", "stderr")})
    c.call("Start")
    fifos = {name: c.fifo(f"exec-{name}") for name in ("stdin", "stdout", "stderr")}
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/cat"), **fifos)
    c.call("Start", exec_id="e")
    c.call("CloseIO", exec_id="e", stdin=True)
    # cat may have seen the end of its input first
    assert c.code("Kill", exec_id="e", signal=9) in (OK, NOT_FOUND)
    assert c.call("Wait", exec_id="e").exit_status in (0, 137)
    c.call("Delete", exec_id="e")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_a_log_that_nobody_reads_holds_up_nobody(bench):
    """containerd is away, and its log FIFO is full."""
    c = bench.container(*SLEEP)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(bench.logs[-1], b"x" * 65536)
    c.create()
    for number in range(20):
        # each is an error that the shim has a line for
        assert c.code("Create", bundle="/no/such/bundle") != OK
        assert c.code("Kill", exec_id=f"e{number}", signal=9) == NOT_FOUND
    c.call("Start")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
