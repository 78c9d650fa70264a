"""Update: limits of a running container, as kubelet and `ctr task update` set them."""

import json
import pathlib
import select
import threading

import pytest

from cgroups import directories, is_v1, number
from ttrpc import INVALID, NOT_FOUND, OK, RpcError
from waiting import until

pytestmark = pytest.mark.submission("in-place resize and the CPU manager call Update; a second each")

SLEEP = ("/bin/sleep", "600")
TYPE = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"


def resources(value, type_url=TYPE):
    return {"type_url": type_url, "value": value if isinstance(value, bytes) else json.dumps(value).encode()}


def end(c):
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


@pytest.fixture
def running(bench):
    c = bench.container(*SLEEP)
    c.pid = c.create()
    c.call("Start")
    yield c
    end(c)


@pytest.fixture
def files(running):
    """{limit: file} of what this host enforces; a test without one of them has nothing to see."""
    where = directories(running.pid)
    found = {}
    if is_v1():
        names = {"memory": ("memory", "memory.limit_in_bytes"), "pids": ("pids", "pids.max"),
                 "shares": ("cpu", "cpu.shares"), "quota": ("cpu", "cpu.cfs_quota_us")}  # fmt: skip
    else:
        names = {"memory": ("", "memory.max"), "pids": ("", "pids.max"), "shares": ("", "cpu.weight")}
    for limit, (controller, file) in names.items():
        if controller in where and (where[controller] / file).exists():
            found[limit] = where[controller] / file
    return found


def test_update_writes_the_limits(running, files):
    c = running
    c.call("Update", resources=resources({"pids": {"limit": 33}, "memory": {"limit": 64 << 20}, "cpu": {"shares": 512}}))
    assert files, "no controller here: the test sees nothing"
    if "pids" in files:
        assert number(files["pids"]) == 33
    if "memory" in files:
        assert number(files["memory"]) == 64 << 20
    if "shares" in files:
        assert number(files["shares"]) == (512 if is_v1() else 1 + 510 * 9999 // 262142)
    # what is not named stays
    c.call("Update", resources=resources({"memory": {"limit": 32 << 20}}), annotations={"a": "b"})
    if "memory" in files:
        assert number(files["memory"]) == 32 << 20
    if "pids" in files:
        assert number(files["pids"]) == 33


@pytest.mark.parametrize("type_url", ["", "types.containerd.io/opencontainers/runtime-spec/1.0/LinuxResources",
                                      "type.googleapis.com/opencontainers/runtime-spec/1/LinuxResources"])  # fmt: skip
def test_every_spelling_of_the_type(running, files, type_url):
    running.call("Update", resources=resources({"pids": {"limit": 44}}, type_url))
    if "pids" in files:
        assert number(files["pids"]) == 44


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("LinuxResources", resources({}, "types.containerd.io/opencontainers/runtime-spec/1/WindowsResources")),
        ("resources", resources(b"{")),
        ("resources", resources(b"")),
        ("pids", resources({"pids": {"limit": "many"}})),
        ("cpus", resources({"cpu": {"cpus": "all"}})),
    ],
    ids=["another_type", "half", "nothing", "not_a_number", "not_a_list"],
)
def test_what_is_wrong_is_named(running, what, value):
    with pytest.raises(RpcError, match=what) as raised:
        running.call("Update", resources=value)
    assert raised.value.code == INVALID
    assert running.call("State").status == "RUNNING"


def test_what_the_kernel_refuses_is_named_with_its_file(running, files):
    if "quota" not in files and "shares" not in files:
        return  # nothing here takes a value
    with pytest.raises(RpcError, match="cpu") as raised:
        running.call("Update", resources=resources({"cpu": {"quota": 1, "period": 100000}}))
    assert "1" in raised.value.message and ("cfs_quota_us" in raised.value.message or "cpu.max" in raised.value.message)


def test_updates_are_made_in_order(running, files):
    c = running
    calls = [c.task.begin("Update", id="one", resources=resources({"pids": {"limit": n}})) for n in range(10, 40)]
    # nobody else waits for them
    assert c.another().call("State", id="one").status == "RUNNING"
    for each in calls:
        c.task.end("Update", each)
    if "pids" in files:
        assert number(files["pids"]) == 39


def test_update_of_a_task_that_is_not_running(bench):
    c = bench.container(*SLEEP)
    assert c.code("Update", resources=resources({})) == NOT_FOUND
    c.create()
    assert c.code("Update", resources=resources({"pids": {"limit": 50}})) == OK
    c.call("Start")
    c.call("Pause")
    assert c.code("Update", resources=resources({"pids": {"limit": 51}})) == OK
    c.call("Resume")
    c.call("Kill", signal=9)
    c.call("Wait")
    assert c.code("Update", resources=resources({"pids": {"limit": 52}})) == NOT_FOUND
    c.end()


def test_an_end_amid_updates_answers_all_of_them(bench):
    """Each is done, or told that the task has ended; none is left waiting."""
    c = bench.container(*SLEEP)
    c.create()
    c.call("Start")
    other = c.another()
    calls = [c.task.begin("Update", id="one", resources=resources({"pids": {"limit": 100 + n}})) for n in range(30)]
    killer = threading.Thread(target=lambda: other.call("Kill", id="one", signal=9))
    killer.start()
    for each in calls:
        try:
            c.task.end("Update", each)
        except RpcError as error:
            assert error.code == NOT_FOUND, error
    killer.join()
    c.call("Wait")
    c.end()


def answered(task):
    return bool(select.select([task.connection.socket], [], [], 0)[0])


@pytest.mark.full("200 MB are filled and swapped out; only the emulated machine has cgroup2 and swap")
def test_an_update_that_takes_its_time_holds_nobody_up(bench):
    """memory.high: the kernel reclaims before the write returns."""
    c = bench.container("/usr/bin/python3", "-c", "import time; x = bytearray(b'x') * (200 << 20); time.sleep(600)")
    c.pid = c.create()
    where = directories(c.pid)
    c.call("Start")
    slow = not is_v1() and (where[""] / "memory.high").exists() and len(pathlib.Path("/proc/swaps").read_text().splitlines()) > 1
    if slow:
        until(lambda: number(where[""] / "memory.current") > 190 << 20, limit=300, what="the memory")
    limit = {"unified": {"memory.high": str(8 << 20)}} if slow else {"pids": {"limit": 50}}
    other = c.another()
    update = c.task.begin("Update", id="one", resources=resources(limit))
    meanwhile = 0
    while not answered(c.task):
        other.call("State", id="one")
        meanwhile += 1
    c.task.end("Update", update)
    assert meanwhile > 2 or not slow, "nobody was answered while the kernel reclaimed"
    end(c)
