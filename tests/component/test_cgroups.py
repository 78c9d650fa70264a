"""The cgroup of a workload: where it is, what it limits, which devices it allows, and its end."""

import os
import pathlib

import pytest

from bench import Container, spec
from cgroups import directories, is_v1, places
from ttrpc import OK, RpcError
from waiting import until

pytestmark = pytest.mark.submission("limits and the end of everything that a workload leaves; a second each")

SLEEP = ("/bin/sleep", "600")
DENY_ALL = {"allow": False, "access": "rwm"}
MKNOD = [f"CAP_{name}" for name in ("CHOWN", "KILL", "MKNOD", "DAC_OVERRIDE")]


def start(bench, *args, name="one", resources=None, path=None, namespaces=None, **process):
    config = spec(*args, process=process)
    linux = config["linux"]
    linux["resources"] = {"devices": [DENY_ALL], **(resources or {})}
    if path is not None:
        linux["cgroupsPath"] = path
    if namespaces is not None:
        linux["namespaces"] = [{"type": t} for t in namespaces]
    return Container(bench, name, bench.start(name, config))


def run(c):
    """Its exit status and what it said."""
    out = c.fifo("out")
    reader = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
    try:
        c.create(stdout=out)
        c.call("Start")
        status = c.call("Wait").exit_status
        c.end()
        said = b""
        while True:
            piece = os.read(reader, 65536)
            if not piece:
                return status, said.decode()
            said += piece
    finally:
        os.close(reader)


def refusal(c):
    with pytest.raises(RpcError) as refused:
        c.create()
    c.end(delete=False)
    return refused.value.message


def delete(c, where):
    """When Delete answers nothing is left; the `delete` command has nothing to do."""
    c.call("Delete")
    assert [directory for directory in where.values() if directory.exists()] == []
    c.call("Shutdown")
    until(c.gone, what="the shim's end")
    c.bench.delete(c.name)


def logged(bench, c, text):
    """What the shim's log has said so far contains the text."""
    said = bytearray()

    def look():
        try:
            said.extend(os.read(bench.logs[-1], 65536))
        except BlockingIOError:
            pass
        return text in said.decode(errors="replace")

    until(look, what=f"{text!r} in the log")


def test_a_workload_is_in_its_cgroup_before_it_runs_a_line(bench):
    status, said = run(start(bench, "/bin/cat", "/proc/self/cgroup", path="/reaper-test-first/x"))
    assert status == 0
    lines = [line.split(":", 2) for line in said.splitlines()]
    mine = {name: path for _, names, path in lines for name in names.split(",") if name in places()}
    assert mine
    assert {path.endswith("/reaper-test-first/x") for path in mine.values()} == {True}, said


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/reaper-test-a/b", "/reaper-test-a/b"),
        ("//reaper-test-a/./b/", "/reaper-test-a/b"),
        ("a/b", "/reaper/component/a/b"),
        ("", "/reaper/component/one"),
        ("a-b.slice:cri:ID", "/a.slice/a-b.slice/cri-ID.scope"),
        (":cri:ID", "/system.slice/cri-ID.scope"),
        ("a.slice::ID", "/a.slice/ID.scope"),
    ],
)
def test_forms_of_the_path(bench, path, wanted):
    """No systemd runs here: the systemd form is directories."""
    c = start(bench, *SLEEP, path=path)
    found = directories(c.create())
    assert found
    for where in found.values():
        assert str(where).endswith(wanted)
    c.call("Kill", signal=9)
    c.call("Wait")
    delete(c, found)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/a/../b", r'".." is not allowed'),
        ("/", "names no cgroup of its own"),
        ("a:b:c", "is not of the form slice:prefix:name"),
        ("a.slice:b:", "is not of the form slice:prefix:name"),
        ("a--b.slice:b:c", "is no name of a slice"),
        ("a.slice:b:c/d", "no '/' in names of units"),
        ("/a\nb", "a control character"),
        ("/" + "x" * 300, "a component of 300 bytes"),
        ("/" + "x/" * 70, "deeper than 64"),
    ],
)
def test_a_path_that_is_none_is_refused_by_name(bench, path, said):
    c = start(bench, *SLEEP, path=path)
    message = refusal(c)
    assert "linux.cgroupsPath" in message
    assert said in message


# controller, OCI resources, (v1 file, text), (v2 file, text); None: this version has no such limit
LIMITS = [
    ("cpu", {"cpu": {"shares": 512}}, ("cpu.shares", "512"), ("cpu.weight", "20")),
    ("cpu", {"cpu": {"quota": 30000, "period": 20000}}, ("cpu.cfs_quota_us", "30000"), ("cpu.max", "30000 20000")),
    ("cpu", {"cpu": {"quota": 30000, "period": 20000, "burst": 1000}}, ("cpu.cfs_burst_us", "1000"), ("cpu.max.burst", "1000")),
    ("cpu", {"cpu": {"idle": 1, "shares": 100}}, ("cpu.idle", "1"), ("cpu.idle", "1")),
    ("memory", {"memory": {"limit": 64 << 20}}, ("memory.limit_in_bytes", str(64 << 20)), ("memory.max", str(64 << 20))),
    ("memory", {"memory": {"reservation": 32 << 20}}, ("memory.soft_limit_in_bytes", str(32 << 20)), ("memory.low", str(32 << 20))),
    ("memory", {"memory": {"limit": 64 << 20, "swap": 96 << 20}}, ("memory.memsw.limit_in_bytes", str(96 << 20)), ("memory.swap.max", str(32 << 20))),
    ("memory", {"memory": {"swappiness": 7}}, ("memory.swappiness", "7"), None),
    ("pids", {"pids": {"limit": 55}}, ("pids.max", "55"), ("pids.max", "55")),
    ("pids", {"pids": {"limit": 0}}, ("pids.max", "max"), ("pids.max", "max")),
    ("cpuset", {"cpu": {"cpus": "0", "mems": "0"}}, ("cpuset.cpus", "0"), ("cpuset.cpus", "0")),
]  # fmt: skip


@pytest.mark.parametrize(("controller", "resources", "v1", "v2"), LIMITS)
def test_limits_are_in_the_kernels_files(bench, controller, resources, v1, v2):
    c = start(bench, *SLEEP, resources=resources)
    where = directories(c.create())
    directory, wanted = (where[controller], v1) if controller in where else (where.get(""), v2)
    if wanted and directory and (directory / wanted[0]).exists():
        assert (directory / wanted[0]).read_text().strip() == wanted[1]
    else:  # nobody enforces it here: it runs all the same, and the log says so
        logged(bench, c, "cannot be enforced here, continuing without it")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_throttles_of_block_devices(bench):
    numbers = [line.split()[:2] for line in pathlib.Path("/proc/partitions").read_text().splitlines()[2:]]
    major, minor = next(((int(a), int(b)) for a, b in numbers), (8, 0))
    rates = {
        "throttleReadBpsDevice": 1 << 20, "throttleWriteBpsDevice": 2 << 20,
        "throttleReadIOPSDevice": 300, "throttleWriteIOPSDevice": 400,
    }  # fmt: skip
    block = {key: [{"major": major, "minor": minor, "rate": rate}] for key, rate in rates.items()}
    c = start(bench, *SLEEP, resources={"blockIO": block})
    where = directories(c.create())
    if "blkio" in where:
        files = ("read_bps", "write_bps", "read_iops", "write_iops")
        said = [(where["blkio"] / f"blkio.throttle.{f}_device").read_text().strip() for f in files]
        assert said == [f"{major}:{minor} {rate}" for rate in rates.values()]
    elif "" in where and (where[""] / "io.max").exists():
        assert (where[""] / "io.max").read_text().strip() == (
            f"{major}:{minor} rbps={1 << 20} wbps={2 << 20} riops=300 wiops=400"
        )
    else:
        logged(bench, c, "blockIO.throttleReadBpsDevice cannot be enforced here")
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_what_this_host_has_not_is_said_and_the_workload_runs(bench):
    """No kernel enforces kernel memory any more, and the page size is nobody's."""
    resources = {
        "memory": {"kernel": 1 << 20},
        "hugepageLimits": [{"pageSize": "3MB", "limit": 0}],
    }
    c = start(bench, "/bin/sh", "-c", "exit 4", resources=resources)
    c.create()
    c.call("Start")
    assert c.call("Wait").exit_status == 4
    logged(bench, c, "linux.resources: memory.kernel cannot be enforced here, continuing without it")
    c.end()


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"memory": {"limit": 64 << 20, "swap": 1 << 20}}, "memory.swap"),
        ({"unified": {"../memory.high": "1"}}, "must be the name of a cgroup file"),
        ({"unified": {"cgroup.procs": "1"}}, '"cgroup.procs" is no limit of cgroup v2'),
        ({"hugepageLimits": [{"pageSize": "../2MB", "limit": 0}]}, "pageSize"),
        ({"cpu": {"cpus": "0;1"}}, "must be numbers, commas and ranges"),
        ({"cpu": {"cpus": "4094"}}, "cpuset.cpus"),
        ({"rdma": {"a b": {"hcaHandles": 1}}}, "is no name of a device"),
        ({"network": {"classID": 1}}, "linux.resources.network"),
    ],
)
def test_limits_that_cannot_be_are_refused_by_name(bench, resources, said):
    if "4094" in str(resources) and "cpuset" not in places():
        resources, said = {"cpu": {"cpus": "x"}}, "must be numbers"
    message = refusal(start(bench, *SLEEP, resources=resources))
    assert said in message, message


def test_unified_belongs_to_v2(bench):
    c = start(bench, *SLEEP, resources={"unified": {"memory.high": str(1 << 30)}})
    if is_v1():
        message = refusal(c)
        assert 'linux.resources.unified: "memory.high" is a file of cgroup v2' in message
        return
    file = directories(c.create())[""] / "memory.high"
    assert not file.exists() or file.read_text().strip() == str(1 << 30)
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


# Open devices that nobody has: the device controller decides before the driver is looked for.
PROBE = """
for n in 99 98; do mknod /dev/probe$n c 1 $n; done
for n in 99 98; do sh -c ": < /dev/probe$n" 2>&1; sh -c ": >> /dev/probe$n" 2>&1; done
echo > /dev/null; head -c 1 /dev/zero | wc -c
"""


def test_devices_of_the_spec_open_and_a_siblings_do_not(bench):
    if "devices" not in places() and is_v1():
        pytest.fail("no devices hierarchy beside v1: this machine cannot run the test")
    caps = {k: MKNOD for k in ("bounding", "effective", "permitted")}
    rules = [DENY_ALL, {"allow": True, "type": "c", "major": 1, "minor": 99, "access": "rm"}]
    status, mine = run(
        start(bench, "/bin/sh", "-c", PROBE, resources={"devices": rules}, capabilities=caps, name="mine")
    )
    assert status == 0
    # allowed to be read: there is no driver; to be written, and the other one: refused
    assert [("No such device" in line, "not permitted" in line) for line in mine.splitlines()[:4]] == [
        (True, False), (False, True), (False, True), (False, True)
    ], mine  # fmt: skip
    assert mine.splitlines()[-1].strip() == "1"
    status, sibling = run(start(bench, "/bin/sh", "-c", PROBE, capabilities=caps, name="sibling"))
    assert status == 0
    assert ["not permitted" in line for line in sibling.splitlines()[:4]] == [True] * 4, sibling


def test_a_later_rule_wins(bench):
    caps = {k: MKNOD for k in ("bounding", "effective", "permitted")}
    rules = [
        DENY_ALL,
        {"allow": True, "type": "c", "major": 1, "access": "rwm"},
        {"allow": False, "type": "c", "major": 1, "minor": 98, "access": "rwm"},
    ]
    c = start(bench, "/bin/sh", "-c", PROBE, resources={"devices": rules}, capabilities=caps)
    if "devices" in places():
        # v1 would leave it open
        assert "device rule 2 takes back a part of what rule 1 allows" in refusal(c)
        return
    status, said = run(c)
    assert status == 0
    assert ["not permitted" in line for line in said.splitlines()[:4]] == [False, False, True, True], said


ESCAPE = "setsid sleep 1201 & (setsid setsid sleep 1202 &) ; nohup sleep 1203 >/dev/null 2>&1 & exec sleep {}"


def left(*seconds):
    """Pids of sleeps with these arguments."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 1 and words[0].endswith(b"sleep") and words[1].decode() in map(str, seconds):
            found.append(int(entry.name))
    return found


def test_daemons_that_left_the_session_end_with_the_first_process(bench):
    """In the host's pid namespace nothing but the cgroup knows them."""
    c = start(bench, "/bin/sh", "-c", ESCAPE.format(1200), namespaces=("mount", "ipc", "uts", "network"))
    where = directories(c.create())
    c.call("Start")
    until(lambda: len(left(1200, 1201, 1202, 1203)) == 4)
    c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    # the exit is the last event: when it is told, nothing of the container runs
    assert left(1200, 1201, 1202, 1203) == []
    delete(c, where)


def test_delete_of_a_stopped_one_finds_what_came_in_later(bench):
    """Somebody puts a process into the cgroup after the end: Delete ends it, then answers."""
    c = start(bench, "/bin/true", namespaces=("mount", "ipc", "uts", "network"))
    where = directories(c.create())
    c.call("Start")
    c.call("Wait")
    pid = os.fork()
    if pid == 0:
        try:
            for directory in where.values():
                (directory / "cgroup.procs").write_text("0")
            os.execv("/bin/sleep", ["sleep", "1210"])
        finally:
            os._exit(1)
    until(lambda: left(1210) == [pid])
    delete(c, where)
    assert os.waitpid(pid, 0)[1] == 9


def test_a_fork_bomb_ends(bench):
    c = start(
        bench, "/usr/bin/perl", "-e", "while (1) { fork }",
        resources={"pids": {"limit": 64}}, namespaces=("mount", "ipc", "uts", "network"),
    )  # fmt: skip
    where = directories(c.create())
    if "pids" not in where and not (where.get("") and (where[""] / "pids.max").exists()):
        pytest.fail("nobody counts processes here: a bomb would be everybody's")
    c.call("Start")
    until(lambda: len(c.call("Pids").processes) > 30)
    c.call("Kill", signal=9)
    assert c.call("Wait").exit_status == 137
    delete(c, where)


def test_a_cgroup_in_which_somebody_is_is_not_taken_over(bench):
    c = start(bench, *SLEEP, name="first", path="/reaper-test-shared")
    c.create()
    second = start(bench, *SLEEP, name="second", path="/reaper-test-shared")
    assert "processes are in it already" in refusal(second)
    assert c.code("State") == OK
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
