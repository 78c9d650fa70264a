"""How the shim is started and what it answers, in every dialect of containerd."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from bench import NAMESPACE, SHIM, give_up, spec
from cgroups import places
from machine import BINARIES
from ttrpc import TASK, Task
from waiting import until
from wire import encode_varint

pytestmark = pytest.mark.submission("a wrong answer to `start` breaks a version of containerd; milliseconds each")

ANY = TASK.encode("Any", {"type_url": "runtimeoptions.v1.Options", "value": b"\x12\x04/etc"})


def params(name, namespace=NAMESPACE, socket_dir=""):
    return TASK.encode("BootstrapParams", {
        "instance_id": name, "namespace": namespace, "log_level": -4, "containerd_version": "2.3.4",
        "containerd_ttrpc_address": "/run/x.sock.ttrpc", "containerd_grpc_address": "/run/x.sock",
        "containerd_binary": "/usr/bin/containerd", "socket_dir": socket_dir,
    })  # fmt: skip


def stop(bench, name, address):
    """Ends a shim that got no task, as containerd does."""
    task = Task(bench.connect(address))
    pid = task.call("Connect", id=name).shim_pid
    give_up(task, name)
    until(lambda: not os.path.exists(address), what="the socket's end")
    bench.delete(name)
    return pid


@pytest.mark.parametrize(
    "stdin",
    [b"", ANY, b"\xff\xff\xff garbage", params("one", "elsewhere"), params("other")],
    ids=["nothing", "options", "garbage", "params_of_another_namespace", "params_of_another_id"],
)
def test_answer_is_a_bare_address(bench, stdin):
    bundle = bench.make_bundle("one", spec("/bin/true"))
    result = bench.shim("start", bundle=bundle, stdin=stdin, name="one")
    assert result.stderr == b""
    assert result.stdout.decode() == f"unix://{bench.socket_path('one')}"
    assert (bundle / "address").read_text() == result.stdout.decode()
    stop(bench, "one", bench.socket_path("one"))


SHIM_CGROUP = "/reaper-test-shim"


def runc_options(**fields):
    """As containerd up to 2.2 hands on what a client or `[runtimes.NAME.options]` says."""
    text = fields["shim_cgroup"].encode()
    return TASK.encode("Any", {"type_url": "containerd.runc.v1.Options", "value": b"\x1a" + encode_varint(len(text)) + text})


def test_shim_cgroup_is_where_the_shim_is_and_no_workload(bench):
    # not in that of cpuset: a place without CPUs takes nobody, and in some hierarchies is enough
    tops = set(places().values()) - {places().get("cpuset")}
    made = [pathlib.Path(f"{top}{SHIM_CGROUP}") for top in tops]
    for directory in made:
        directory.mkdir()
    try:
        path = bench.start("one", spec("/bin/sleep", "600"), stdin=runc_options(shim_cgroup=SHIM_CGROUP))
        c = bench.adopt("one", path)
        pid = c.create()
        for directory in made:
            assert (directory / "cgroup.procs").read_text().split() == [str(c.shim_pid)]
        assert SHIM_CGROUP not in pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        c.call("Start")
        c.call("Kill", signal=9)
        c.call("Wait")
        c.end()
    finally:
        for directory in made:
            until(lambda where=directory: not (where / "cgroup.procs").read_text(), what="the shim's end")
            directory.rmdir()


@pytest.mark.parametrize(
    ("path", "said"), [("/no/such/cgroup", "there is no cgroup /no/such"), ("x", "is absolute"), ("/a/../b", "is absolute")]
)
def test_a_shim_cgroup_that_is_none_is_refused_by_name(bench, path, said):
    bundle = bench.make_bundle("one", spec("/bin/true"))
    result = bench.shim("start", bundle=bundle, stdin=runc_options(shim_cgroup=path), name="one", check=False)
    assert result.returncode == 1
    assert "ShimCgroup" in result.stderr.decode() and said in result.stderr.decode()
    assert not os.path.exists(bench.socket_path("one"))
    until(lambda: not bench.shims(), what="the end of the daemon that was not wanted")
    bench.delete("one")


def test_answer_to_bootstrap_params_is_protobuf(bench):
    bundle = bench.make_bundle("one", spec("/bin/true"))
    result = bench.shim("start", bundle=bundle, stdin=params("one"), name="one")
    assert result.stderr == b""
    answer = TASK.decode("BootstrapResult", result.stdout)
    assert answer.version in (2, 3)
    assert answer.protocol == "ttrpc"
    assert answer.address == f"unix://{bench.socket_path('one')}"
    stop(bench, "one", bench.socket_path("one"))


def test_the_daemon_holds_nothing_of_its_caller(bench):
    address = bench.start("one", spec("/bin/true"))
    pid = Task(bench.connect(address)).call("Connect", id="one").shim_pid
    assert os.getsid(pid) == pid
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    for number in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
    assert os.stat(address).st_mode & 0o777 == 0o600
    threads = os.listdir(f"/proc/{pid}/task")
    assert len(threads) == 1, "the shim has threads"
    stop(bench, "one", address)


def descriptors(pid):
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[number] = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:  # closed meanwhile
            pass
    return found


def kinds(pid):
    return sorted(re.sub(r":\[\d+\]$", "", link) for link in descriptors(pid).values())


def test_the_daemon_has_its_own_descriptors_only(bench):
    """containerd's end of a pipe that stays open hangs every later `start`; a bundle's pins it."""
    bench.start("one", spec("/bin/true"))
    (pid,) = bench.shims()
    wanted = sorted([
        "/dev/null", "/dev/null", "/dev/null",
        "socket",  # the listener
        str(bench.directory / "one" / "log"),
        "anon_inode:[eventpoll]", "anon_inode:[signalfd]", "anon_inode:[timerfd]",
        "/",  # the runtime it was born with, in a mount of that one file
    ])  # fmt: skip
    # `start` answers when the socket is there; the daemon may still be making the rest
    until(lambda: kinds(pid) == wanted, what="the daemon's own descriptors and no other")
    links = descriptors(pid)
    (runtime,) = (n for n, link in links.items() if link == "/")
    assert os.path.samestat(os.stat(f"/proc/{pid}/fd/{runtime}"), os.stat(BINARIES / "reaper-runtime"))
    stop(bench, "one", bench.socket_path("one"))


def test_version_3_is_not_asked_for(bench):
    """containerd says 2 there in every version; whatever it says, `start` runs for each container."""
    bundle = bench.make_bundle("one", spec("/bin/true"))
    os.environ["MAX_SHIM_VERSION"] = "3"
    try:
        result = bench.shim("start", bundle=bundle, name="one")
    finally:
        del os.environ["MAX_SHIM_VERSION"]
    assert result.stdout.decode() == f"unix://{bench.socket_path('one')}"
    stop(bench, "one", bench.socket_path("one"))


def test_the_socket_directory_is_the_callers(bench):
    """containerd 2.3 and later name one; 42 bytes are their limit, 107 the kernel's for all of it."""
    directory = bench.directory / "s"
    bundle = bench.make_bundle("one", spec("/bin/true"))
    result = bench.shim("start", bundle=bundle, stdin=params("one", socket_dir=str(directory)), name="one")
    address = TASK.decode("BootstrapResult", result.stdout).address.removeprefix("unix://")
    assert address == str(directory / os.path.basename(bench.socket_path("one")))
    assert (bundle / "address").read_text() == f"unix://{address}"
    assert os.stat(directory).st_mode & 0o777 == 0o700
    stop(bench, "one", address)


@pytest.mark.parametrize(("length", "fits"), [(42, True), (43, False), (4000, False)])
def test_a_socket_path_that_is_too_long_is_refused_by_name(bench, length, fits):
    directory = f"{bench.directory}/".ljust(length, "d")
    bundle = bench.make_bundle("one", spec("/bin/true"))
    result = bench.shim("start", bundle=bundle, stdin=params("one", socket_dir=directory), name="one", check=False)
    if fits:
        stop(bench, "one", TASK.decode("BootstrapResult", result.stdout).address.removeprefix("unix://"))
        return
    assert result.returncode != 0
    assert result.stdout == b""
    assert len(result.stderr.splitlines()) == 1
    assert b"at most 107" in result.stderr
    assert not bench.shims()
    bench.delete("one")


def test_starts_meet_a_shim_that_leaves(bench):
    """Every container that `start` gave an address for can be created there, while the one before it
    in the same group is deleted and says Shutdown."""
    annotations = {"io.containerd.reaper.v2.group": "pod"}
    rounds = 40
    before = bench.container("/bin/true", name="c0", annotations=annotations)
    for number in range(1, rounds):
        before.create()
        before.call("Start")
        before.call("Wait")
        before.call("Delete")
        # unanswered, so that it and the next `start` are on their way together
        before.task.begin("Shutdown", id=before.name)
        after = bench.container("/bin/true", name=f"c{number}", annotations=annotations)
        bench.delete(before.name)
        before = after
    before.create()
    before.end()


def test_a_second_container_of_the_pod_joins_the_shim(bench):
    annotations = {"io.containerd.reaper.v2.group": "pod"}
    first = bench.start("one", spec("/bin/true", annotations=annotations))
    second = bench.start("two", spec("/bin/true", annotations=annotations))
    assert first == second == bench.socket_path("pod")
    task = Task(bench.connect(first))
    pids = {task.call("Connect", id=name).shim_pid for name in ("one", "two")}
    assert len(pids) == 1
    for name in ("one", "two"):
        give_up(task, name)
    until(lambda: not os.path.exists(first))
    bench.delete("one")
    bench.delete("two")


def test_two_starts_at_once_make_one_shim(bench):
    annotations = {"io.containerd.reaper.v2.group": "pod"}
    names = [f"c{n}" for n in range(8)]
    processes = []
    for name in names:
        bundle = bench.make_bundle(name, spec("/bin/true", annotations=annotations))
        processes.append(subprocess.Popen(
            [SHIM, "-namespace", NAMESPACE, "-address", bench.address, "-publish-binary", "/bin/true", "-id", name, "start"],
            cwd=bundle, env=bench.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ))  # fmt: skip
    answers = {p.communicate(timeout=60) for p in processes}
    assert answers == {(f"unix://{bench.socket_path('pod')}".encode(), b"")}
    assert len(bench.shims()) == 1
    task = Task(bench.connect(bench.socket_path("pod")))
    for name in names:
        give_up(task, name)
    for name in names:
        bench.delete(name)


def test_a_stale_socket_is_replaced(bench):
    address = bench.start("one", spec("/bin/true"))
    pid = Task(bench.connect(address)).call("Connect", id="one").shim_pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in bench.shims())
    assert os.path.exists(address)
    bundle = bench.directory / "one"
    result = bench.shim("start", bundle=bundle, name="one")
    assert (result.stdout.decode(), result.stderr) == (f"unix://{address}", b"")
    assert stop(bench, "one", address) != pid


def test_delete_removes_the_socket_of_a_dead_shim(bench):
    address = bench.start("one", spec("/bin/true"))
    pid = Task(bench.connect(address)).call("Connect", id="one").shim_pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in bench.shims())
    assert bench.delete("one").exit_status == 137
    assert not os.path.exists(address)


def run(program, *arguments):
    return subprocess.run([BINARIES / program, *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)  # fmt: skip


def test_version_and_info_need_nothing_else(bench):
    result = run("containerd-shim-reaper-v2", "-v")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip()
    info = subprocess.run([SHIM, "-info"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (info.returncode, info.stderr) == (0, b"")
    answer = TASK.decode("RuntimeInfo", info.stdout)
    assert answer.name == "io.containerd.reaper.v2"
    assert answer.version.version
    # an empty features message makes containerd 2.x fail on pods with mapped mounts
    assert answer.features and answer.features.type_url.endswith("runtime-spec/1/features/Features")
    features = json.loads(answer.features.value)
    assert features["ociVersionMin"] and features["ociVersionMax"]
    # containerd 2.x dereferences it for mapped mounts, which are not offered
    assert not features["linux"].get("mountExtensions", {}).get("idmap", {}).get("enabled")
    assert "user" not in features["linux"]["namespaces"]


def test_info_echoes_the_options(bench):
    info = subprocess.run([SHIM, "-info"], input=ANY, capture_output=True, timeout=60)
    assert (info.returncode, info.stderr) == (0, b"")
    options = TASK.decode("RuntimeInfo", info.stdout).options
    assert (options.type_url, options.value) == ("runtimeoptions.v1.Options", b"\x12\x04/etc")


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("containerd-shim-reaper-v2", ["-namespace", "x", "-id", "y", "dance"]),
        ("containerd-shim-reaper-v2", []),
        ("containerd-shim-reaper-v2", ["-namespace", "x", "start"]),
        ("containerd-shim-reaper-v2", ["-namespace", "../x", "-id", "y", "start"]),
        ("containerd-shim-reaper-v2", ["-namespace", "x", "-id", "a/b", "start"]),
        ("reaper-runtime", ["dance"]),
        ("reaper-runtime", []),
        ("reaperctl", ["dance"]),
        ("reaperctl", ["containerd", "dance"]),
        ("reaperctl", ["--dance"]),
    ],
    ids=lambda value: "_".join(value).replace("/", "-") if isinstance(value, list) else value,
)
def test_unknown_arguments_are_refused_with_one_line(bench, program, arguments):
    result = run(program, *arguments)
    assert result.returncode != 0
    lines = result.stderr.splitlines()
    # without any argument a program may explain itself at length
    assert len(lines) == 1 or not arguments, result.stderr
    assert program.split("-")[0] in lines[0] or "shim" in lines[0]
    for word in ("dance", "../x", "a/b"):
        if any(word in a for a in arguments):
            assert word in result.stderr


def bad_configs():
    whole = '{"ociVersion": "1.0.2", "process": {"args": ["/bin/true"], "cwd": "/"}, "linux": {}}'
    return {
        "none": (None, "config.json"),
        "cut": (whole[: len(whole) // 2], "config.json"),
        "not_json": ("process: yes\n", "config.json"),
        "empty": ("", "config.json"),
        "deep": ("[" * 100_000, "config.json"),
        "large": ('{"ociVersion": "1.0.2", "annotations": {"x": "' + "y" * 100_000_000 + '"}}', "config.json"),
        "no_args": ('{"ociVersion": "1.0.2", "process": {"cwd": "/"}, "linux": {}}', "args"),
        "wrong_type": ('{"ociVersion": "1.0.2", "process": {"args": "true", "cwd": "/"}, "linux": {}}', "args"),
    }


@pytest.mark.parametrize("case", list(bad_configs()))
def test_a_bad_config_is_refused_with_one_line(bench, case):
    """By `start` or by Create; either way one line that says what and where, and nothing is left."""
    text, word = bad_configs()[case]
    bundle = bench.make_bundle("one", text)
    result = bench.shim("start", bundle=bundle, name="one", check=False)
    if result.returncode == 0:
        task = Task(bench.connect(result.stdout.decode().removeprefix("unix://")))
        with pytest.raises(Exception) as raised:
            task.call("Create", id="one", bundle=str(bundle))
        message = raised.value.message
        assert task.code("Delete", id="one") in (0, 5)
        task.call("Shutdown", id="one")
        until(lambda: not bench.shims())
    else:
        message = (result.stdout + result.stderr).decode().strip()
    bench.delete("one")
    assert word in message
    assert "\n" not in message
    assert len(message) < 1000


def test_options_on_stdin_have_a_limit(bench):
    """A caller that never stops must not fill the memory."""
    bundle = bench.make_bundle("one", spec("/bin/true"))
    huge = b"\x12" + encode_varint(64 << 20) + b"x" * (64 << 20)
    result = bench.shim("start", bundle=bundle, stdin=huge, name="one", check=False)
    if result.returncode == 0:
        stop(bench, "one", bench.socket_path("one"))
    else:
        assert len((result.stdout + result.stderr).splitlines()) == 1
        bench.delete("one")


def test_help_of_each_program_is_on_stdout(bench):
    for program in ("reaper-runtime", "reaperctl"):
        result = run(program, "--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert pathlib.Path(program).name in result.stdout
