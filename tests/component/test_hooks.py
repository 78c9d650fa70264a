"""OCI hooks: when and where each kind runs, what it is told, and what its failure means."""

import json
import os
import signal

import pytest

from bench import spec
from ttrpc import OK, RpcError
from waiting import until

pytestmark = pytest.mark.submission("CDI, NRI and administrators put hooks into specs; milliseconds each")

SLEEP = ("/bin/sleep", "600")
INSIDE = ("createContainer", "startContainer")  # in the container's namespaces
KINDS = ("prestart", "createRuntime", *INSIDE, "poststart", "poststop")
VOLUME = "/srv/reaper-hooks"


class Hooks:
    """Hooks for a spec, and what they left in a directory that host and container share."""

    def __init__(self, bench):
        self.directory = bench.directory / "hooks"
        self.directory.mkdir()
        self.directory.chmod(0o777)
        self.of = {}

    def add(self, kind, script, **members):
        """`$D` is the directory as the hook sees it."""
        seen = VOLUME if kind in INSIDE else self.directory
        hook = {"path": "/bin/sh", "args": ["sh", "-c", f"D={seen}; {script}", kind], **members}
        self.of.setdefault(kind, []).append(hook)

    def changes(self):
        mounts = spec("x")["mounts"]
        mounts.append({"destination": VOLUME, "type": "bind", "source": str(self.directory), "options": ["rbind"]})
        return {"hooks": self.of, "mounts": mounts}

    def read(self, name):
        path = self.directory / name
        return path.read_text() if path.exists() else ""

    def lines(self, name):
        return self.read(name).split()


@pytest.fixture
def hooks(bench):
    return Hooks(bench)


def test_each_kind_at_its_point_in_its_namespace(bench, hooks):
    look = (
        "echo $0 >> $D/order; cat > $D/$0.json; env | sort > $D/$0.env; pwd > $D/$0.cwd; "
        "readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid > $D/$0.ns; ls /proc/self/fd > $D/$0.fd"
    )
    for kind in KINDS:
        hooks.add(kind, look, env=["FROM_SPEC=1"])
    hooks.add("createContainer", "cp /proc/self/fd/3/config.json $D/config.json")
    hooks.add("createRuntime", "cat /proc/self/environ > /dev/null; ls $(sed 's/.*\"root\":\"\\([^\"]*\\)\".*/\\1/') > $D/root")
    script = (f"echo workload >> {VOLUME}/order; "
              f"readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/pid > {VOLUME}/workload.ns; "
              f"read x < {VOLUME}/go")  # fmt: skip
    os.mkfifo(hooks.directory / "go")
    c = bench.container("/bin/sh", "-c", script, annotations={"a": "b"}, **hooks.changes())
    pid = c.create()
    assert hooks.lines("order") == ["prestart", "createRuntime", "createContainer"]
    c.call("Start")
    # the program and the poststart hook run side by side
    until(lambda: len(hooks.lines("order")) == 6)
    assert hooks.lines("order")[3] == "startContainer"
    assert sorted(hooks.lines("order")[4:]) == ["poststart", "workload"]
    (hooks.directory / "go").write_text("\n")
    assert c.call("Wait").exit_status == 0
    assert "poststop" not in hooks.lines("order")
    c.call("Delete")
    assert hooks.lines("order")[6:] == ["poststop"]

    statuses = dict(zip(KINDS, ("creating", "creating", "creating", "created", "running", "stopped")))
    shim = [os.readlink(f"/proc/{os.getpid()}/ns/{n}") for n in ("mnt", "net", "pid")]
    for kind in KINDS:
        state = json.loads(hooks.read(f"{kind}.json"))
        inside = kind in INSIDE
        assert (state["id"], state["status"], state["annotations"]) == ("one", statuses[kind], {"a": "b"}), kind
        assert state["bundle"] == ("/proc/self/fd/3" if inside else str(c.bundle))
        assert state.get("pid") == (None if kind == "poststop" else 1 if inside else pid), kind
        assert state.get("root") == (None if kind == "poststop" else "/" if inside else f"/proc/{pid}/root"), kind
        # the program's own namespaces, or the runtime's
        assert hooks.lines(f"{kind}.ns") == (hooks.lines("workload.ns") if inside else shim), kind
        assert hooks.lines(f"{kind}.cwd") == ["/" if inside else str(c.bundle)]
        assert [e for e in hooks.lines(f"{kind}.env") if not e.startswith(("PWD=", "_=", "OLDPWD="))] == ["FROM_SPEC=1"]
        # the state, its output, in the container the bundle; one is ls's own
        assert len(hooks.lines(f"{kind}.fd")) == (5 if inside else 4), hooks.read(f"{kind}.fd")
    # hooks that edit the root find the view
    assert json.loads(hooks.read("config.json"))["root"]["path"] == "/"
    assert "usr" in hooks.lines("root")
    c.end(delete=False)
    assert hooks.lines("order")[6:] == ["poststop"], "`delete` does not run it again"


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_failure_before_the_start_is_an_error_of_create(bench, hooks, kind):
    hooks.add(kind, "echo ran >> $D/first")
    hooks.add(kind, "echo to nobody; echo; echo 'no GPU for you' >&2; exit 3")
    hooks.add(kind, "echo ran >> $D/third")
    hooks.add("poststop", "echo ran >> $D/poststop")
    c = bench.container(*SLEEP, **hooks.changes())
    with pytest.raises(RpcError) as raised:
        c.create()
    assert f"hooks.{kind}[1]: /bin/sh: exit status 3: to nobody  no GPU for you" in raised.value.message
    assert hooks.lines("first") == ["ran"]
    assert not hooks.lines("third")
    assert hooks.lines("poststop") == ["ran"], "what the first hook did is taken back by the last"
    c.end(delete=False)
    assert hooks.lines("poststop") == ["ran"]


def test_a_failure_in_the_container_is_an_error_of_start(bench, hooks):
    hooks.add("startContainer", "echo not today >&2; exit 9")
    hooks.add("poststop", "echo ran >> $D/poststop")
    c = bench.container("/bin/sh", "-c", f"echo ran > {VOLUME}/workload", **hooks.changes())
    c.create()
    with pytest.raises(RpcError, match=r"hooks\.startContainer\[0\]: /bin/sh: exit status 9: not today"):
        c.call("Start")
    assert c.call("Wait").exit_status == 128
    c.end()
    assert not hooks.lines("workload")
    assert hooks.lines("poststop") == ["ran"]


def test_a_failing_poststart_hook_ends_the_container(bench, hooks):
    hooks.add("poststart", "echo too late; exit 1")
    c = bench.container(*SLEEP, **hooks.changes())
    c.create()
    with pytest.raises(RpcError, match=r"hooks\.poststart\[0\]: /bin/sh: exit status 1: too late"):
        c.call("Start")
    assert c.call("Wait").exit_status == 137
    c.end()


def test_a_program_that_is_quicker_than_its_poststart_hook(bench, hooks):
    hooks.add("poststart", "read x < $D/go")
    os.mkfifo(hooks.directory / "go")
    c = bench.container("/bin/sh", "-c", "exit 4", **hooks.changes())
    pid = c.create()
    starting = c.task.begin("Start", id="one")
    other = c.another()
    assert other.call("Wait", id="one").exit_status == 4
    (hooks.directory / "go").write_text("\n")
    assert c.task.end("Start", starting).pid == pid
    topics = [t for t, _ in bench.events.all()]
    assert topics == ["/tasks/create", "/tasks/start", "/tasks/exit"]
    c.end()


def test_failing_poststop_hooks_are_logged_and_hold_up_nothing(bench, hooks):
    hooks.add("poststop", "exit 1")
    hooks.add("poststop", "echo ran >> $D/second")
    c = bench.container("/bin/true", **hooks.changes())
    c.create()
    c.call("Start")
    c.call("Wait")
    c.end()
    assert hooks.lines("second") == ["ran"]


def test_a_hook_that_hangs_is_killed_with_its_group(bench, hooks):
    hooks.add("createRuntime", "echo before; sleep 600 & echo $! > $D/child; wait", timeout=3)
    c = bench.container(*SLEEP, **hooks.changes())
    with pytest.raises(RpcError, match=r"hooks\.createRuntime\[0\]: /bin/sh: did not end within 3 s, killed: before"):
        c.create()
    until(lambda: not os.path.exists(f"/proc/{hooks.lines('child')[0]}"))
    c.end(delete=False)


def test_a_hook_that_hangs_in_the_container_is_killed(bench, hooks):
    hooks.add("startContainer", "exec sleep 600", timeout=1)
    c = bench.container(*SLEEP, **hooks.changes())
    c.create()
    with pytest.raises(RpcError, match=r"hooks\.startContainer\[0\]: /bin/sh: did not end within 1 s, killed"):
        c.call("Start")
    c.call("Wait")
    c.end()


def test_the_shim_answers_while_a_hook_runs(bench, hooks):
    hooks.add("createRuntime", "read x < $D/go")
    os.mkfifo(hooks.directory / "go")
    c = bench.container(*SLEEP, **hooks.changes())
    creating = c.task.begin("Create", id="one", bundle=str(c.bundle))
    other = c.another()
    for _ in range(3):
        assert other.call("Connect", id="one").shim_pid == c.shim_pid
    (hooks.directory / "go").write_text("\n")
    assert c.task.end("Create", creating).pid > 0
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_poststop_after_the_death_of_the_shim_runs_once(bench, hooks):
    hooks.add("poststop", "cat > $D/state; echo ran >> $D/poststop")
    c = bench.container(*SLEEP, **hooks.changes())
    c.create()
    c.call("Start")
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    # containerd asks more than once when an answer is lost
    for _ in range(2):
        result = bench.shim("-bundle", str(c.bundle), "delete", bundle=c.bundle, name="one")
        assert result.stderr == b""
    assert hooks.lines("poststop") == ["ran"]
    state = json.loads(hooks.read("state"))
    assert (state["status"], state["bundle"], state.get("pid")) == ("stopped", str(c.bundle), None)
    bench.delete("one")
    assert hooks.lines("poststop") == ["ran"]


def test_poststop_of_a_lost_shim_runs_once(bench, hooks):
    """It lives, containerd has lost its connection: both it and `delete` end the container."""
    hooks.add("poststop", "echo ran >> $D/poststop")
    c = bench.container(*SLEEP, **hooks.changes())
    c.create()
    c.call("Start")
    c.task.connection.close()
    bench.delete("one")
    until(c.gone)
    assert hooks.lines("poststop") == ["ran"]


def test_a_hook_does_not_outlive_the_shim_that_waits_for_it(bench, hooks):
    hooks.add("createRuntime", "echo $$ > $D/pid; exec sleep 600")
    c = bench.container(*SLEEP, **hooks.changes())
    c.task.begin("Create", id="one", bundle=str(c.bundle))
    until(lambda: hooks.lines("pid"))
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    until(lambda: not os.path.exists(f"/proc/{hooks.lines('pid')[0]}"))
    bench.delete("one")


@pytest.mark.parametrize("program", ["nvidia-ctk", "nvidia-cdi-hook"])
@pytest.mark.parametrize("word", ["update-ldcache", "create-symlinks"])
def test_hooks_that_prepare_an_images_root_are_skipped(bench, hooks, program, word):
    """The view's root is the host's: the driver's own package has done that there."""
    path = f"/usr/bin/reaper-no-such/{program}"
    hooks.of["createContainer"] = [{"path": path, "args": [program, "hook", word, "--folder", "/usr/lib"]}]
    c = bench.container("/bin/true", **hooks.changes())
    c.create()
    c.call("Start")
    assert c.call("Wait").exit_status == 0
    c.end()


def test_any_other_hook_runs_or_the_start_is_refused(bench, hooks):
    path = "/usr/bin/reaper-no-such/nvidia-ctk"
    hooks.of["createContainer"] = [{"path": path, "args": ["nvidia-ctk", "hook", "chmod", "--mode", "755"]}]
    c = bench.container("/bin/true", **hooks.changes())
    with pytest.raises(RpcError, match=rf"hooks\.createContainer\[0\]: {path}: not found"):
        c.create()
    c.end(delete=False)


def test_a_point_that_nobody_knows_is_refused(bench, hooks):
    hooks.of["preLunch"] = [{"path": "/bin/true"}]
    c = bench.container("/bin/true", **hooks.changes())
    with pytest.raises(RpcError, match="hooks: preLunch: not known here"):
        c.create()
    c.end(delete=False)


SANDBOX = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "one"}


def test_the_hooks_of_a_sandbox(bench, hooks):
    for kind in ("prestart", "createRuntime", "poststart", "poststop"):
        hooks.add(kind, "echo $0 >> $D/order")
    c = bench.container("/pause", annotations=SANDBOX, **hooks.changes())
    c.create()
    assert hooks.lines("order") == ["prestart", "createRuntime"]
    c.call("Start")
    c.call("Kill", signal=int(signal.SIGTERM))
    c.call("Wait")
    c.end()
    assert hooks.lines("order") == ["prestart", "createRuntime", "poststart", "poststop"]


def test_hooks_inside_a_sandbox_are_refused(bench, hooks):
    hooks.add("createContainer", "true")
    c = bench.container("/pause", annotations=SANDBOX, **hooks.changes())
    with pytest.raises(RpcError, match=r"hooks\.createContainer: /bin/sh: a pod's sandbox has an empty root"):
        c.create()
    c.end(delete=False)


def test_an_exec_runs_no_hooks(bench, hooks):
    for kind in KINDS:
        hooks.add(kind, "echo $0 >> $D/order")
    c = bench.container(*SLEEP, **hooks.changes())
    c.create()
    c.call("Start")
    before = hooks.lines("order")
    process = {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process",
               "value": json.dumps(spec("/bin/true")["process"]).encode()}  # fmt: skip
    c.call("Exec", exec_id="e", spec=process)
    c.call("Start", exec_id="e")
    assert c.call("Wait", exec_id="e").exit_status == 0
    assert c.code("Delete", exec_id="e") == OK
    assert hooks.lines("order") == before
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()
