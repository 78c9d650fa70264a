"""Rows with a daemon: what its clients wait for, many pods, and what grows with their number."""

import concurrent.futures
import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import time

import grpc

from daemon import SOCKET, STATE, Daemon, Pod
from stage import BINARIES, HERE, memory_of, row, until
from ttrpc import Connection, Task
from wire import Schema

DAEMON = []
EXECS = 10
AT_ONCE = 20
PODS = 50
SCALE = (1, 10, 100, 300)
API = Schema(HERE.parent / "support/proto/containerd.proto")
SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/"


def daemon():
    return DAEMON[0].start()


@row("ms", 20, why="the whole path, with containerd and its client")
def ctr_run(stage):
    stage.count += 1
    rootfs = stage.peer.rootfs or "/run/empty"
    os.makedirs("/run/empty", exist_ok=True)
    words = [*daemon().ctr, "run", "--rm", *stage.peer.ctr(), "--rootfs", rootfs, f"{stage.peer.name}{stage.count}",
             "/bin/busybox", "true"]  # fmt: skip
    began = time.perf_counter()
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return (time.perf_counter() - began) * 1000


class Api:
    """containerd's own API, as its Go client calls it."""

    def __init__(self, namespace="bench"):
        options = [("grpc.default_authority", "localhost")]
        self.channel = grpc.insecure_channel(f"unix://{SOCKET}", options=options)
        self.metadata = (("containerd-namespace", namespace),)

    def call(self, service, method, request, answer, **fields):
        invoke = self.channel.unary_unary(
            f"/containerd.services.{service}/{method}",
            request_serializer=lambda values: API.encode(request, values),
            response_deserializer=lambda data: API.decode(answer, data),
        )
        return invoke(fields, metadata=self.metadata, timeout=120, wait_for_ready=True)


@functools.cache
def api():
    return Api()


def containers(method, **fields):
    return api().call("containers.v1.Containers", method, f"{method}ContainerRequest", "Empty", **fields)


def tasks(method, answer="Empty", **fields):
    request = f"{method}TaskRequest" if method in ("Create", "Delete") else f"{method}Request"
    return api().call("tasks.v1.Tasks", method, request, answer, **fields)


@row("ms", 20, why="containerd's tasks.Create, Start, Wait, Delete of /bin/true; the container is there before")
def task_api(stage):
    daemon()
    stage.count += 1
    name = f"api-{stage.peer.name}{stage.count}"
    os.makedirs("/run/empty", exist_ok=True)
    config = stage.config("/bin/busybox", "true")
    config["root"] = {"path": stage.peer.rootfs or "/run/empty"}
    config["linux"]["cgroupsPath"] = f"/bench/{name}"
    runtime = {"name": "io.containerd.reaper.v2" if stage.peer.name == "reaper" else "io.containerd.runc.v2",
               **stage.peer.options}  # fmt: skip
    spec = {"type_url": SPEC_TYPE + "Spec", "value": json.dumps(config).encode()}
    containers("Create", container={"id": name, "runtime": runtime, "spec": spec})
    began = time.perf_counter()
    tasks("Create", container_id=name, **stage.peer.options)
    tasks("Start", container_id=name)
    tasks("Wait", "WaitResponse", container_id=name)
    tasks("Delete", container_id=name)
    took = time.perf_counter() - began
    containers("Delete", id=name)
    return took * 1000


@row("ms", 20, parts=("cri_pod_up", "cri_pod_down"), why="RunPodSandbox, CreateContainer, StartContainer; and the "
     "four calls back; the host's network")  # fmt: skip
def cri_pod(stage):
    pod = Pod(daemon(), stage.peer.name)
    began = time.perf_counter()
    pod.up()
    up = time.perf_counter() - began
    began = time.perf_counter()
    pod.down()
    return {"cri_pod_up": up * 1000, "cri_pod_down": (time.perf_counter() - began) * 1000}


@row("ms", 7, parts=("cri_exec_cold", "cri_exec_warm"), why="ExecSync of true until its exit code, with the default "
     f"seccomp profile: the first in a container, and the mean of {EXECS} more")  # fmt: skip
def cri_exec(stage):
    pod = Pod(daemon(), stage.peer.name, "RuntimeDefault").up()

    def run():
        assert pod.cri.exec_sync(pod.container, ["/bin/busybox", "true"]).exit_code == 0

    cold, warm = first_and_others(run)
    pod.down()
    return {"cri_exec_cold": cold, "cri_exec_warm": warm}


def first_and_others(run):
    began = time.perf_counter()
    run()
    cold = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(EXECS):
        run()
    return cold * 1000, (time.perf_counter() - began) * 1000 / EXECS


@functools.cache
def default_profile():
    """The seccomp profile that containerd writes for RuntimeDefault."""
    pod = Pod(daemon(), "runc", "RuntimeDefault").up()
    profile = pod.spec()["linux"]["seccomp"]
    pod.down()
    return profile


@row("ms", 7, parts=("exec_cold", "exec_warm"), why="Exec, Start, Wait, Delete of true at the shim, without streams, with "
     f"the default seccomp profile: the first in a task, and the mean of {EXECS} more")  # fmt: skip
def exec_life(stage):
    linux = {**stage.config("x")["linux"], "seccomp": default_profile()}
    process = {"args": ["/bin/busybox", "true"], "cwd": "/", "env": ["PATH=/bin:/usr/bin"], "user": {"uid": 0, "gid": 0}}
    any_spec = {"type_url": SPEC_TYPE + "Process", "value": json.dumps(process).encode()}
    with stage.running("/bin/busybox", "sleep", "1000", linux=linux) as (name, task, _, _):
        numbers = iter(range(EXECS + 1))

        def run():
            where = {"id": name, "exec_id": f"e{next(numbers)}"}
            task.call("Exec", spec=any_spec, **where)
            task.call("Start", **where)
            assert task.call("Wait", **where).exit_status == 0
            task.call("Delete", **where)

        cold, warm = first_and_others(run)
    return {"exec_cold": cold, "exec_warm": warm}


@row("calls", 1, why="execve and execveat of one pod through CRI, up and down, the workload's included (strace -f on the daemon)")
def execves_per_pod(stage):
    made = pathlib.Path("/run/out/execve.txt")
    made.unlink(missing_ok=True)
    Pod(daemon(), stage.peer.name).up().down()  # what is done once
    words = ["strace", "-f", "-q", "-e", "trace=execve,execveat", "-e", "signal=none", "-o", str(made),
             "-p", str(daemon().process.pid)]  # fmt: skip
    tracer = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    status = f"/proc/{daemon().process.pid}/task"
    until(lambda: all("TracerPid:\t0\n" not in pathlib.Path(status, t, "status").read_text() for t in os.listdir(status)),
          what="strace")  # fmt: skip
    Pod(daemon(), stage.peer.name).up().down()
    tracer.terminate()
    tracer.wait()
    calls = [line for line in made.read_text().splitlines() if re.search(r"\bexecve(at)?\(", line)]
    shutil.copy(made, f"/run/out/execve-{stage.peer.name}.txt")
    return len(calls)


# ---- many ----


def shims_of(handler):
    """{sandbox: pid} of the shims of this daemon's pods."""
    name = b"containerd-shim-reaper" if handler == "reaper" else b"containerd-shim-runc"
    found = {}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0") if entry.isdigit() else []
            if words and name in words[0] and b"-id" in words and b"k8s.io" in words:
                found[words[words.index(b"-id") + 1].decode()] = int(entry)
    return found


def children_of(pid):
    return [int(c) for t in os.listdir(f"/proc/{pid}/task") for c in pathlib.Path(f"/proc/{pid}/task/{t}/children").read_text().split()]


def besides_workload(pods, handler):
    """The processes of these pods that are not workloads: shims, and pause or sandbox processes."""
    shims = shims_of(handler)
    mine = [shims[pod.sandbox] for pod in pods]
    pauses = [c for shim in mine for c in children_of(shim)
              if pathlib.Path(f"/proc/{c}/comm").read_text().strip() not in ("busybox", "sleep")]  # fmt: skip
    return mine, pauses


def at_once(function, items):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, items))


MANY = ("pods_20_at_once", "pods_50_removed", "pod_private_dirty", "pod_pss", "pod_processes")


@row("ms", 1, parts=MANY, units={"pod_private_dirty": "kB", "pod_pss": "kB", "pod_processes": "processes"},
     why=f"{AT_ONCE} pods at once; {PODS} idle pods: private dirty memory of a shim, PSS and number of all processes "
     f"of a pod besides its workload; {PODS} removed, {AT_ONCE} at once")  # fmt: skip
def many_pods(stage):
    make = lambda _: Pod(daemon(), stage.peer.name).up()  # noqa: E731
    began = time.perf_counter()
    pods = at_once(make, range(AT_ONCE))
    made = time.perf_counter() - began
    pods += at_once(make, range(PODS - AT_ONCE))
    # pages of a program that was built just now and is not on the disk yet count as dirty, too
    os.sync()
    shims, others = besides_workload(pods, stage.peer.name)
    dirty = sum(memory_of(pid, "Private_Dirty") for pid in shims)
    pss = sum(memory_of(pid, "Pss") for pid in shims + others)
    began = time.perf_counter()
    at_once(Pod.down, pods)
    removed = time.perf_counter() - began
    values = (made * 1000, removed * 1000, dirty / PODS, pss / PODS, (len(shims) + len(others)) / PODS)
    return dict(zip(MANY, values))


@contextlib.contextmanager
def shim_of(pod):
    """The Task service of the pod's shim, beside containerd."""
    text = (pod.bundle(pod.sandbox) / "bootstrap.json").read_text()
    connection = Connection(json.loads(text)["address"].removeprefix("unix://"))
    yield Task(connection)
    connection.close()


def stats_ms(pod):
    """A Stats call on the pod's container, at its shim; the median of ten."""
    took = []
    with shim_of(pod) as task:
        for _ in range(10):
            began = time.perf_counter()
            task.call("Stats", id=pod.container)
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def mounts_of(pod):
    with shim_of(pod) as task:
        pid = task.call("State", id=pod.container).pid
    return len(pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


KINDS = {"start": "ms", "memory": "kB", "stats": "ms", "mounts": "mounts", "restart": "ms"}


@row("ms", 1, parts=tuple(f"scale_{kind}_{count}" for count in SCALE for kind in KINDS), peers=("reaper", "runc"),
     units={f"scale_{kind}_{count}": unit for count in SCALE for kind, unit in KINDS.items()},
     why="with 1, 10, 100 and 300 pods: one more pod up (median of five), private dirty memory of a shim, a Stats call at "
     "a shim, mounts in a workload's namespace, containerd killed and started until it answers for all of them")  # fmt: skip
def scale(stage):
    pods, values = [], {}
    for count in SCALE:
        pods += at_once(lambda _: Pod(daemon(), stage.peer.name).up(), range(count - len(pods)))
        more, took = [], []
        for _ in range(5):
            began = time.perf_counter()
            more.append(Pod(daemon(), stage.peer.name).up())
            took.append(time.perf_counter() - began)
        values[f"scale_start_{count}"] = statistics.median(took) * 1000
        at_once(Pod.down, more)
        os.sync()
        shims, _ = besides_workload(pods, stage.peer.name)
        values[f"scale_memory_{count}"] = sum(memory_of(pid, "Private_Dirty") for pid in shims) / len(shims)
        values[f"scale_stats_{count}"] = stats_ms(pods[-1])
        values[f"scale_mounts_{count}"] = mounts_of(pods[-1])
        began = time.perf_counter()
        daemon().crash()
        for pod in pods:
            pod.cri = daemon().cri
        ready = sum(p.state == "SANDBOX_READY" for p in daemon().cri.call("ListPodSandbox")["items"])
        assert ready == len(pods), f"{ready} of {len(pods)} are ready"
        values[f"scale_restart_{count}"] = (time.perf_counter() - began) * 1000
    at_once(Pod.down, pods)
    return values


@row("kB", 1, why="shim and runtime, as installed (stripped)")
def binary_size(stage):
    if stage.peer.name == "reaper":
        programs = [BINARIES / "containerd-shim-reaper-v2", BINARIES / "reaper-runtime"]
    else:
        programs = [stage.peer.shim, shutil.which(stage.peer.name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")]
    total = 0
    for number, program in enumerate(programs):
        stripped = f"/run/tmp/stripped{number}"
        subprocess.run(["strip", "-o", stripped, str(program)], check=True)
        total += os.path.getsize(stripped)
    return total / 1024
