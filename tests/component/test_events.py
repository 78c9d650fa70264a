"""Events: their order and number (contract 4.3), whatever the moment of an end."""

import random
import threading

import pytest

from bench import exec_spec
from ttrpc import OK, PRECONDITION, RpcError
from waiting import until

SEED = 20261128


def play(bench, rng, name):
    """A container with execs that end when they like, or when their container does."""
    first = rng.choice([("/bin/true",), ("/bin/sleep", "600"), ("/bin/sh", "-c", "/bin/true & exec /bin/true")])
    c = bench.container(*first, name=name)
    c.create()
    c.call("Start")
    waiting = c.task.begin("Wait", id=name)
    other = c.another("v2")
    for number in range(rng.randrange(6)):
        try:
            c.call("Exec", exec_id=f"e{number}", spec=exec_spec(*rng.choice([("/bin/true",), ("/bin/sleep", "600")])))
            other.begin("Start", id=name, exec_id=f"e{number}")
            if rng.random() < 0.3:
                c.call("Kill", exec_id=f"e{number}", signal=9)
        except RpcError:
            pass  # the container has ended by itself, or the exec has, or it has no process yet
    killer = threading.Thread(target=lambda: c.another().code("Kill", id=name, signal=9, all=rng.random() < 0.5))
    killer.start()
    c.task.end("Wait", waiting)
    killer.join()
    assert c.code("Exec", exec_id="late", spec=exec_spec("/bin/true")) == PRECONDITION
    assert c.code("Delete") == OK
    return c


def check(events, name):
    """What must hold of the events of one container, in the order of their arrival."""
    mine = [(t.removeprefix("/tasks/"), e) for t, e in events if e.container_id == name]
    topics = [t for t, _ in mine]
    for topic in ("create", "start", "delete"):
        assert topics.count(topic) == 1, (name, topics)
    exits = [(n, e) for n, (t, e) in enumerate(mine) if t == "exit"]
    ids = [e.id for _, e in exits]
    assert len(set(ids)) == len(ids), f"{name}: two exits of one process: {ids}"
    assert ids[-1] == name, f"{name}: the first process's exit is not the last: {ids}"
    assert topics[0] == "create" and topics[-1] == "delete", topics
    assert topics.index("start") < topics.index("delete")
    assert topics.index("start") < [n for n, e in exits if e.id == name][0]
    started = {e.exec_id: n for n, (t, e) in enumerate(mine) if t == "exec-started"}
    added = {e.exec_id: n for n, (t, e) in enumerate(mine) if t == "exec-added"}
    ended = {e.id: n for n, e in exits if e.id != name}
    assert set(started) == set(ended), f"{name}: started {set(started)}, ended {set(ended)}"
    for exec_id, at in started.items():
        assert added[exec_id] < at < ended[exec_id], (name, exec_id)
    pids = {e.exec_id or name: e.pid for t, e in mine if t in ("exec-started",)}
    assert all(e.pid == pids[e.id] for _, e in exits if e.id != name)


def rounds(bench, count):
    rng = random.Random(SEED)
    for number in range(count):
        name = f"r{number}"
        c = play(bench, rng, name)
        bench.events.wait("/tasks/delete", container_id=name)
        c.call("Shutdown")
        until(c.gone, what="the shim's end")
        bench.delete(name)
    for number in range(count):
        check(bench.events.all(), f"r{number}")


@pytest.mark.submission("exactly one exit, in order, over random ends; seconds")
def test_order_and_number(bench):
    rounds(bench, 12)


@pytest.mark.full("the same, for rare interleavings")
def test_order_and_number_often(bench):
    rounds(bench, 100)
