"""The command line of reaper-runtime: run, list, state, features, and its errors."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios

import pytest

from bench import spec
from machine import BINARIES, is_zombie, run
from waiting import until

pytestmark = pytest.mark.submission("what an administrator types when there is no containerd to ask; a second each")

RUNTIME = str(BINARIES / "reaper-runtime")


def runtime(*args, **options):
    return subprocess.run(
        [RUNTIME, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **options
    )  # fmt: skip


@contextlib.contextmanager
def running(bench, bundle, *args, **options):
    """`reaper-runtime run`; the workload says a line when it runs."""
    process = subprocess.Popen(
        [RUNTIME, "run", str(bundle), *args], env=bench.environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n", process.communicate(timeout=60)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(60)
        # not to their end: the workload of a run that was killed may hold them
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def shell(bench, script, name="one", **changes):
    return bench.make_bundle(name, spec("/bin/sh", "-c", script, **changes))


def listed(*args):
    result = runtime("list", "--json", *args)
    assert result.returncode == 0, result.stderr
    return {c["id"]: c for c in json.loads(result.stdout)}


def test_run_has_the_callers_streams_and_the_workloads_status(bench):
    bundle = shell(bench, "cat; echo to stderr >&2; exit 7")
    result = subprocess.run([RUNTIME, "run", bundle], input="through\n", capture_output=True, text=True, timeout=120)
    assert (result.stdout, result.stderr, result.returncode) == ("through\n", "to stderr\n", 7)
    assert not (bundle / "reaper.json").exists()


def test_run_says_why_no_program_runs(bench):
    bundle = bench.make_bundle("one", spec("/no/such/program"))
    result = runtime("run", bundle)
    assert result.returncode == 127
    assert result.stderr == "reaper-runtime: /no/such/program: not found on this host\n"
    assert not (bundle / "reaper.json").exists()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_run_passes_signals_on(bench, sig):
    number = int(sig)
    bundle = shell(bench, f"trap 'echo got {number}; exit 3' {number}; echo ready; while :; do sleep 600 & wait; done")
    with running(bench, bundle) as process:
        process.send_signal(sig)
        out, _ = process.communicate(timeout=60)
        assert (out, process.returncode) == (f"got {number}\n", 3)


def test_run_ends_what_the_workload_leaves_behind(bench):
    """With the host's pid namespace nobody but the cgroup knows of it."""
    config = spec("/bin/sh", "-c", "sleep 600 & echo ready; read line")
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "pid"]
    bundle = bench.make_bundle("one", config)
    with running(bench, bundle) as process:
        cgroup = listed()["one"]["cgroups"][0]
        with open(f"{cgroup}/cgroup.procs") as file:
            members = [int(line) for line in file]
        assert len(members) == 2
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0
        assert all(is_zombie(pid) for pid in members)
        assert not os.path.exists(cgroup)


def left_behind(bench, script):
    """A run whose workload leaves a shell with that script; its pid in the host's namespace."""
    config = spec("/bin/sh", "-c", f"sh -c '{script}' & read line")
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "pid"]
    return bench.make_bundle("one", config)


def test_run_gives_what_is_left_the_nodes_grace(bench):
    """The time is far longer than the test: it is SIGTERM that ends the wait."""
    bench.settings["REAPER_EXIT_GRACE"] = "60s"
    bundle = left_behind(bench, 'trap "echo asked; exit" TERM; echo ready; while :; do sleep 0.1; done')
    with running(bench, bundle) as process:
        assert process.communicate("go\n", timeout=50)[0] == "asked\n"
        assert process.returncode == 0


def test_the_grace_of_run_can_be_cut_short(bench):
    bench.settings["REAPER_EXIT_GRACE"] = "60s"
    bundle = left_behind(bench, 'trap "echo asked" TERM; echo ready; while :; do sleep 0.1; done')
    with running(bench, bundle) as process:
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=50)[0] == ""
        assert process.returncode == 0


def test_run_has_no_agent_for_a_seccomp_profile(bench):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(bench.directory / "agent"),
               "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}  # fmt: skip
    bundle = bench.make_bundle("one", spec("/bin/true", linux={**spec("x")["linux"], "seccomp": profile}))
    result = runtime("run", bundle, env=bench.environment())
    assert result.returncode == 128
    assert result.stderr == ("reaper-runtime: linux.seccomp: SCMP_ACT_NOTIFY: the agent at listenerPath is told by the "
                             "shim, not by run\n")  # fmt: skip


CAPS = 'for i in Inh Prm Eff Bnd Amb; do echo $i $(sed -n "s/^Cap$i:[[:space:]]*0*//p" /proc/self/status); done'


@pytest.mark.parametrize("inheritable", [{}, {"inheritable": []}], ids=["runc", "crun"])
@pytest.mark.parametrize("uid, kept", [(0, "20000420"), (1000, "")])
def test_run_takes_what_runc_spec_and_crun_spec_write(bench, inheritable, uid, kept):
    """Ambient capabilities that are not inheritable: as with both, the kernel's answer is that there are none."""
    names = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    caps = {**{k: names for k in ("bounding", "effective", "permitted", "ambient")}, **inheritable}
    bundle = shell(bench, CAPS, process={"capabilities": caps, "user": {"uid": uid, "gid": 0}})
    result = runtime("run", bundle, env=bench.environment())
    assert result.returncode == 0, result.stderr
    assert [line.strip() for line in result.stdout.splitlines()] == [
        "Inh", f"Prm {kept}".strip(), f"Eff {kept}".strip(), "Bnd 20000420", "Amb"]  # fmt: skip
    assert ("process.capabilities.ambient: CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE: the kernel takes only what is "
            "permitted and inheritable, too, continuing without\n") in result.stderr  # fmt: skip


def test_what_runc_writes_runs_as_with_runc(bench):
    """The real ones: `runc spec`, and what a program sees under `runc run`."""
    bundle = bench.make_bundle("one", spec("x"))
    (bundle / "config.json").unlink()
    run(["runc", "spec"], cwd=bundle)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(terminal=False, args=["/busybox", "grep", "^Cap", "/proc/self/status"])
    (bundle / "config.json").write_text(json.dumps(config))
    (bundle / "rootfs").mkdir(exist_ok=True)
    shutil.copy("/bin/busybox", bundle / "rootfs/busybox")
    theirs = run(["runc", "--root", bench.directory / "runc", "run", "--bundle", bundle, f"reaper-{os.getpid()}"]).stdout
    assert len(theirs.splitlines()) == 5
    config["process"]["args"] = ["grep", "^Cap", "/proc/self/status"]
    (bundle / "config.json").write_text(json.dumps(config))
    ours = runtime("run", bundle, env=bench.environment())
    assert (ours.returncode, ours.stdout) == (0, theirs), ours.stderr


def test_run_with_a_terminal(bench):
    """The caller's terminal is the workload's: size, input, raw mode; and it is set back."""
    bundle = shell(bench, "stty size; read line; echo got $line; exit 5", process={"terminal": True})
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 97, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen([RUNTIME, "run", str(bundle)], stdin=slave, stdout=slave, stderr=slave)
    text = b""

    def heard(word):
        nonlocal text
        if select.select([master], [], [], 0)[0]:
            text += os.read(master, 4096)
        return word in text

    until(lambda: heard(b"31 97"), what="the size of the terminal")
    os.write(master, b"hello\r")
    until(lambda: heard(b"got hello"), what="the answer")
    assert process.wait(60) == 5
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_run_takes_a_bundle_once(bench):
    bundle = shell(bench, "echo ready; read line")
    with running(bench, bundle) as process:
        again = runtime("run", bundle)
        assert again.returncode == 128
        assert again.stderr == f"reaper-runtime: bundle {bundle}: another reaper-runtime run is at work with it\n"
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0


def test_run_leaves_a_shims_bundle_alone(bench):
    c = bench.container("/bin/sleep", "600")
    (c.bundle / "address").write_text(f"unix://{c.path}")
    c.create()
    before = (c.bundle / "reaper.json").read_bytes()
    result = runtime("run", c.bundle)
    assert result.returncode == 128
    assert "belongs to containerd and is served by a shim" in result.stderr
    assert (c.bundle / "reaper.json").read_bytes() == before
    c.end()


def test_the_next_run_ends_what_a_killed_one_left(bench):
    bundle = shell(bench, "echo ready; exec sleep 600")
    with running(bench, bundle) as process:
        left = listed()["one"]["pid"]
        process.kill()
        process.wait(60)
    assert not is_zombie(left), "the workload ended by itself: this test shows nothing"
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = ["/bin/true"]
    (bundle / "config.json").write_text(json.dumps(config))
    result = runtime("run", bundle)
    assert (result.returncode, result.stderr) == (0, "")
    assert is_zombie(left)


HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def test_run_runs_the_hooks_of_every_point(bench):
    """Those in the container's own namespaces are init's: they tell by a volume."""
    told = bench.directory / "told"
    told.mkdir()
    inside = ("createContainer", "startContainer")
    place = {p: "/srv/reaper-told" if p in inside else told for p in HOOKS}
    hooks = {p: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {place[p]}/{p}"]}] for p in HOOKS}
    bundle = shell(bench, "exit 4", hooks=hooks)
    config = json.loads((bundle / "config.json").read_text())
    config["mounts"].append({"destination": "/srv/reaper-told", "source": str(told), "options": ["bind", "rw"]})
    (bundle / "config.json").write_text(json.dumps(config))
    result = runtime("run", bundle)
    assert (result.returncode, result.stderr) == (4, "")
    states = {p: json.loads((told / p).read_text()) for p in HOOKS}
    assert [states[p]["status"] for p in HOOKS] == ["creating", "creating", "creating", "created", "running", "stopped"]
    assert {s["id"] for s in states.values()} == {"one"}


def test_run_is_ended_by_a_hook_that_fails(bench):
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "echo no luck >&2; exit 5"]}
    bundle = shell(bench, "echo never", hooks={"createRuntime": [hook]})
    result = runtime("run", bundle)
    assert (result.returncode, result.stdout) == (128, "")
    assert result.stderr.startswith("reaper-runtime: hooks.createRuntime[0]: /bin/sh: exit status 5: no luck")


def test_run_can_be_ended_while_a_hook_hangs(bench):
    mark = bench.directory / "hangs"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", f"touch {mark}; sleep 600"]}
    bundle = shell(bench, "echo never", hooks={"prestart": [hook]})
    process = subprocess.Popen([RUNTIME, "run", str(bundle)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(mark.exists, what="the hook")
    process.terminate()
    out, error = process.communicate(timeout=60)
    assert (out, process.returncode) == ("", 128)
    assert error == "reaper-runtime: hooks: ended by a signal\n"


def test_list_and_state_of_a_shims_container(bench):
    assert listed() == {}
    c = bench.container("/bin/sh", "-c", "read line; exit 9", annotations={"org.example/key": "value"})
    pid = c.create(stdin=c.fifo("in"))
    state = listed()["one"]
    assert (state["status"], state["pid"], state["bundle"]) == ("created", pid, str(c.bundle))
    c.call("Start")
    state = json.loads(runtime("state", "one", "--json").stdout)
    assert (state["ociVersion"], state["id"], state["status"], state["pid"]) == ("1.2.1", "one", "running", pid)
    assert state["annotations"] == {"org.example/key": "value"}
    c.call("Pause")
    assert listed()["one"]["status"] == "paused"
    c.call("Resume")
    assert listed()["one"]["status"] == "running"
    assert (state["namespace"], state["group"], state["sandbox"]) == ("component", "one", False)
    assert listed("--namespace", "component").keys() == {"one"}
    assert listed("--namespace", "another") == {}
    with open(c.bundle / "in", "w") as stdin:
        stdin.write("\n")
    assert c.call("Wait").exit_status == 9
    state = json.loads(runtime("state", "one", "--json").stdout)
    assert (state["status"], state["exitStatus"]) == ("stopped", 9)
    assert "pid" not in state
    text = runtime("state", "one").stdout
    assert "status      stopped\n" in text and "exit status 9\n" in text
    table = runtime("list").stdout.splitlines()
    assert table[0].split() == ["NAMESPACE", "ID", "PID", "STATUS", "CREATED", "BUNDLE"]
    assert table[1].split()[:4] == ["component", "one", "0", "stopped"]
    c.end()
    assert listed() == {}


def test_a_damaged_record_is_named_and_the_rest_is_listed(bench):
    one, two = bench.container("/bin/sleep", "600"), bench.container("/bin/sleep", "600", name="two")
    one.create()
    two.create()
    record = (one.bundle / "reaper.json").read_bytes()
    (one.bundle / "reaper.json").write_text("{")
    result = runtime("list", "--json")
    assert result.returncode == 0
    assert [c["id"] for c in json.loads(result.stdout)] == ["two"]
    assert result.stderr.startswith(f"reaper-runtime: {one.bundle}: ")
    assert result.stderr.count("\n") == 1
    (one.bundle / "reaper.json").write_bytes(record)
    one.end()
    two.end()


def test_state_of_what_is_not_there(bench):
    result = runtime("state", "nobody")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "reaper-runtime: container nobody: not found on this node; see reaper-runtime list\n"


@pytest.mark.parametrize(
    "line, error",
    [
        ("", "a command is missing"),
        ("frob", "unknown command frob"),
        ("run", "missing operand of run BUNDLE [--id ID] [--namespace NS]"),
        ("run a b", "given twice: --bundle"),
        ("run a --id", "a value is missing after --id"),
        ("run a --id ../b", "not an identifier: ../b"),
        ("run a --json", "unknown argument --json"),
        ("list x", "unknown argument x"),
        ("state", "missing operand of state ID [--namespace NS] [--json]"),
        ("features --json", "unknown argument --json"),
        ("init --bundle x", "missing option --id"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(line, error):
    result = runtime(*line.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"reaper-runtime: {error}; see reaper-runtime --help\n"


def test_help_names_every_command():
    result = runtime("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for command in ("run", "list", "state", "plan", "features", "init"):
        assert f"\n  {command}" in result.stdout


@pytest.mark.submission("each command of the runtime explains itself, and its man page has what it says")
def test_each_command_has_its_own_help():
    page = (BINARIES / "packaging/man/reaper-runtime.8").read_text().replace("\\-", "-")
    usages = re.findall(r"^  ([a-z].*)\n      (.*)$", runtime("--help").stdout, re.MULTILINE)
    assert len(usages) > 6
    for usage, what in usages:
        command = usage.split()[0]
        result = runtime(command, "--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == runtime(command, "-h").stdout
        assert result.stdout.startswith(f"usage: reaper-runtime {usage}\n\n{what}\n")
        assert f"\n.B {usage}\n{what}\n" in page
        options = dict(re.findall(r"^  (\S.*?)  +(.*)$", result.stdout, re.MULTILINE))
        # what the usage line has is explained, and nothing else
        named = re.sub(r"[\[\]]", "", usage.partition(" ")[2])
        assert set(options) == set(re.findall(r"--[a-z-]+(?: [A-Z]+)?|^[A-Z]+", named))
        for words, text in options.items():
            assert words in ("BUNDLE", "ID") or f"\n.B {words}\n{text}\n" in page


def test_features_are_what_the_specification_wants():
    features = json.loads(runtime("features").stdout)
    assert (features["ociVersionMin"], features["ociVersionMax"]) == ("1.0.0", "1.2.1")
    assert {"cgroup", "ipc", "mount", "network", "pid", "uts"} == set(features["linux"]["namespaces"])
    assert features["linux"]["seccomp"]["enabled"] is True
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is False
    assert {"rro", "ro", "rbind"} <= set(features["mountOptions"])
