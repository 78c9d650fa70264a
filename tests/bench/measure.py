"""The benchmarks. Started by scripts/run-benchmarks.sh inside tests/conformance/isolated; each row
measures every peer in turn, A B A B, after a warm-up, and writes CSV: row, peer, unit, round, value.

A row is a function with the decorator `row`; add one and it is run, printed and written.
"""

import argparse
import contextlib
import csv
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from bench import NAMESPACE, Bench, spec  # noqa: E402
from machine import BINARIES, is_zombie  # noqa: E402
from trees import remove_tree  # noqa: E402
from ttrpc import TASK, Task  # noqa: E402
from waiting import until  # noqa: E402

ROWS = []
CTR = []
TICKS = os.sysconf("SC_CLK_TCK")


def row(unit, rounds, better="less", **what):
    """`rounds` is the number of measurements with --rounds 1; better: less or more."""

    def register(function):
        ROWS.append((function.__name__, function, unit, rounds, better, what))
        return function

    return register


class Peer:
    """A shim under measurement: the program, and what its workloads need."""

    def __init__(self, name, shim, rootfs, binary=None):
        self.name = name
        self.shim = str(shim)
        self.rootfs = rootfs
        self.binary = binary  # of runc's shim: another OCI runtime
        # containerd.runc.v1.Options: binary_name is field 6
        value = bytes([6 << 3 | 2, len(binary)]) + binary.encode() if binary else b""
        self.options = {"options": {"type_url": "containerd.runc.v1.Options", "value": value}} if binary else {}

    def ctr(self):
        """What `ctr run` is told."""
        words = ["--runtime", "io.containerd.reaper.v2" if self.name == "reaper" else "io.containerd.runc.v2"]
        return words + (["--runc-binary", self.binary] if self.binary else [])


class Stage(Bench):
    """component's bench, for any shim: containerd's calls without containerd."""

    def __init__(self, peer):
        super().__init__()
        self.peer = peer
        self.count = 0

    def config(self, *args, **changes):
        config = spec(*args, **changes)
        config["root"] = {"path": self.peer.rootfs or "rootfs", "readonly": False}
        return config

    def bundle(self, *args, **changes):
        self.count += 1
        name = f"{self.peer.name}{os.getpid()}n{self.count}"
        self.make_bundle(name, self.config(*args, **changes))
        return name

    def argv(self, name, *words):
        return [self.peer.shim, "-namespace", NAMESPACE, "-address", self.address, "-publish-binary",
                "/bin/true", "-id", name, *words]  # fmt: skip

    def stdin(self, name):
        fields = {"instance_id": name, "namespace": NAMESPACE, "log_level": 0, "containerd_version": "2.4.2",
                  "containerd_ttrpc_address": f"{self.address}.ttrpc", "containerd_grpc_address": self.address,
                  "containerd_binary": "/bin/true"}  # fmt: skip
        return TASK.encode("BootstrapParams", fields)

    def spawn(self, argv, cwd, stdin=b""):
        """(seconds until its answer is whole and it has ended, the answer)."""
        read, write = os.pipe()
        source = os.memfd_create("stdin")
        os.write(source, stdin)
        os.lseek(source, 0, os.SEEK_SET)
        null = os.open("/dev/null", os.O_WRONLY)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
        here = os.getcwd()
        os.chdir(cwd)
        began = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, self.environment(), file_actions=actions)
        os.close(write)
        answer = b""
        while piece := os.read(read, 65536):
            answer += piece
        _, status = os.waitpid(pid, 0)
        took = time.perf_counter() - began
        os.chdir(here)
        for fd in (read, source, null):
            os.close(fd)
        assert status == 0, f"{argv}: {status}"
        return took, answer

    def begin(self, name):
        """`start`: (seconds, Task on the shim)."""
        took, answer = self.spawn(self.argv(name, "start"), self.directory / name, self.stdin(name))
        text = TASK.decode("BootstrapResult", answer).address
        return took, Task(self.connect(text.removeprefix("unix://")))

    def create(self, name, task, **fields):
        return task.call("Create", id=name, bundle=str(self.directory / name), **self.peer.options, **fields).pid

    def finish(self, name, task):
        with contextlib.suppress(ConnectionError):
            task.call("Shutdown", id=name, now=True)
        task.connection.close()
        self.connections.remove(task.connection)

    def remove(self, name):
        bundle = self.directory / name
        took, _ = self.spawn(self.argv(name, "-bundle", str(bundle), "delete"), bundle)
        remove_tree(bundle)
        return took

    @contextlib.contextmanager
    def running(self, *args, **changes):
        """A started task: (name, Task, pid of the shim, pid of the workload)."""
        name = self.bundle(*args, **changes)
        _, task = self.begin(name)
        pid = self.create(name, task)
        task.call("Start", id=name)
        shim = task.call("Connect", id=name).shim_pid
        try:
            yield name, task, shim, pid
        finally:
            task.call("Kill", id=name, signal=9)
            task.call("Wait", id=name)
            task.call("Delete", id=name)
            self.finish(name, task)
            until(lambda: is_zombie(shim) or not os.path.exists(f"/proc/{shim}"), what="the shim's end")
            self.remove(name)


# ---- rows ------------------------------------------------------------------------------------


@row("ms", 30, why="until the answer is there; the floor is an empty static program")
def shim_start(stage):
    name = stage.bundle("/bin/busybox", "true")
    took, task = stage.begin(name)
    shim = task.call("Connect", id=name).shim_pid if stage.peer.name == "reaper" else None
    stage.finish(name, task)
    if shim is None:
        end_by_name(name)
    stage.remove(name)
    return took * 1000


@row("ms", 30)
def shim_delete(stage):
    name = stage.bundle("/bin/busybox", "true")
    _, task = stage.begin(name)
    stage.finish(name, task)
    end_by_name(name)
    return stage.remove(name) * 1000


@row("ms", 30, why="start, Create, Start, Wait, Delete, Shutdown, delete of /bin/true")
def task_life(stage):
    name = stage.bundle("/bin/busybox", "true")
    began = time.perf_counter()
    _, task = stage.begin(name)
    stage.create(name, task)
    task.call("Start", id=name)
    task.call("Wait", id=name)
    task.call("Delete", id=name)
    stage.finish(name, task)
    stage.remove(name)
    return (time.perf_counter() - began) * 1000


@row("ms", 20, why="the whole path, with containerd and its client")
def ctr_run(stage):
    stage.count += 1
    rootfs = stage.peer.rootfs or "/run/empty"
    os.makedirs("/run/empty", exist_ok=True)
    words = [*CTR, "run", "--rm", *stage.peer.ctr(), "--rootfs", rootfs, f"{stage.peer.name}{stage.count}", "/bin/busybox", "true"]
    began = time.perf_counter()
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return (time.perf_counter() - began) * 1000


EXECS = 10


@row("ms", 5, why="Exec, Start, Wait, Delete of /bin/true without streams, in a running task")
def exec_life(stage):
    process = {"args": ["/bin/busybox", "true"], "cwd": "/", "env": ["PATH=/bin:/usr/bin"], "user": {"uid": 0, "gid": 0}}
    any_spec = {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process",
                "value": json.dumps(process).encode()}  # fmt: skip
    with stage.running("/bin/busybox", "sleep", "1000") as (name, task, _, _):
        began = time.perf_counter()
        for number in range(EXECS):
            where = {"id": name, "exec_id": f"e{number}"}
            task.call("Exec", spec=any_spec, **where)
            task.call("Start", **where)
            task.call("Wait", **where)
            task.call("Delete", **where)
        return (time.perf_counter() - began) * 1000 / EXECS


MEGABYTES = 500
BULK = ("dd", "if=/dev/zero", "bs=64k", f"count={MEGABYTES * 16}")
LINES = 200000
LINE = "a line of sixty bytes, as programs write to their logs today"
BY_LINES = ("sh", "-c", f"i={LINES}; while [ $i -gt 0 ]; do echo {LINE}; i=$((i-1)); done")


@row("MB/s", 3, better="more", why=f"{MEGABYTES} MB of dd through the shim's stdout FIFO")
def stdout_throughput(stage):
    return MEGABYTES / stream(stage, BULK, MEGABYTES << 20)[0]


@row("ms CPU", 3, why=f"of the shim, for {MEGABYTES} MB of stdout")
def stdout_cpu(stage):
    return stream(stage, BULK, MEGABYTES << 20)[1] * 1000


@row("lines/s", 5, better="more", why=f"{LINES} lines of a shell, each its own write, through the shim's stdout FIFO")
def stdout_lines(stage):
    return LINES / stream(stage, BY_LINES, LINES * (len(LINE) + 1))[0]


@row("ms CPU", 5, why=f"of the shim, for {LINES} lines of stdout")
def stdout_lines_cpu(stage):
    return stream(stage, BY_LINES, LINES * (len(LINE) + 1))[1] * 1000


def stream(stage, command, size):
    """(seconds, processor seconds of the shim) until the output of a command has arrived."""
    name = stage.bundle("/bin/busybox", *command)
    fifo = stage.directory / name / "out"
    other = stage.directory / name / "err"
    for each in (fifo, other):
        os.mkfifo(each)
    quiet = os.open(other, os.O_RDWR)
    _, task = stage.begin(name)
    total = 0

    def read():
        nonlocal total
        with open(fifo, "rb", buffering=0) as file:
            while piece := file.read(1 << 20):
                total += len(piece)

    reader = threading.Thread(target=read)
    reader.start()
    stage.create(name, task, stdout=str(fifo), stderr=str(other))
    shim = task.call("Connect", id=name).shim_pid
    before = cpu(shim)
    began = time.perf_counter()
    task.call("Start", id=name)
    task.call("Wait", id=name)
    reader.join()
    os.close(quiet)
    took = time.perf_counter() - began
    used = cpu(shim) - before
    task.call("Delete", id=name)
    stage.finish(name, task)
    stage.remove(name)
    assert total == size, f"{total} bytes arrived"
    return took, used


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def switches(pid):
    """Of all its threads, of both kinds."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += sum(int(n) for n in re.findall(r"ctxt_switches:\s*(\d+)", status.read_text()))
    return total


IDLE = 60


@row("switches", 1, why=f"context switches of an idle shim in {IDLE} seconds")
def idle_wakeups(stage):
    with stage.running("/bin/busybox", "sleep", "1000") as (_, _, shim, _):
        time.sleep(2)  # what the start still has to do
        before = switches(shim)
        time.sleep(IDLE)
        return switches(shim) - before


@row("timers", 1, why="armed timerfds and POSIX timers of an idle shim")
def idle_timers(stage):
    with stage.running("/bin/busybox", "sleep", "1000") as (_, _, shim, _):
        time.sleep(2)
        return timers(shim)


def timers(pid):
    armed = len(re.findall(r"^ID:", pathlib.Path(f"/proc/{pid}/timers").read_text(), re.M))
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        value = re.search(r"it_value: \((\d+), (\d+)\)", info.read_text())
        armed += bool(value and (int(value.group(1)) or int(value.group(2))))
    return armed


@row("processes", 1, why="of a pod with one container, besides its workload")
def processes_per_pod(stage):
    before = set(everybody())
    sandbox = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod"}
    container = {**sandbox, "io.kubernetes.cri.container-type": "container"}
    made = []
    for annotations in (sandbox, container):
        name = stage.bundle("/bin/busybox", "sleep", "1000", annotations=annotations)
        _, task = stage.begin(name)
        stage.create(name, task)
        task.call("Start", id=name)
        made.append((name, task))
    count = len(set(everybody()) - before) - 1
    for name, task in reversed(made):
        task.call("Kill", id=name, signal=9)
        task.call("Wait", id=name)
        task.call("Delete", id=name)
    for name, task in reversed(made):
        stage.finish(name, task)
        stage.remove(name)
    return count


PODS = 50


@row("kB", 1, why=f"private dirty memory of an idle shim, mean over {PODS}")
def memory_per_shim(stage):
    return memory(stage, PODS)


@row("kB", 3, why="the same of a shim that is the only one")
def memory_of_one_shim(stage):
    return memory(stage, 1)


def memory(stage, count):
    with contextlib.ExitStack() as stack:
        shims = [stack.enter_context(stage.running("/bin/busybox", "sleep", "1000"))[2] for _ in range(count)]
        # pages of a program that was built just now and is not on the disk yet count as dirty, too
        os.sync()
        return sum(private_dirty(shim) for shim in shims) / count


def private_dirty(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty:\s*(\d+)", text).group(1))


# ---- the view: no shim is in it, and nobody else has one ----

VIEW = BINARIES / "tests/support/bench-view"
ROUNDS = 21
CONTAINERS = 500
MOUNTS = 30


def view(stage, containers, mounts):
    """What tests/bench/view.c prints: first, floor and view in ms, mounts."""
    words = [VIEW, stage.floor, str(ROUNDS), str(containers), str(mounts)]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return {name: float(value) for name, value in zip(text[::2], text[1::2])}


def beyond(found):
    return found["view"] - found["floor"]


@row("ms", 5, alone=True, why="of a container in an existing group, beyond fork, unshare and exec of the same program")
def view_beyond_floor(stage):
    return beyond(view(stage, 0, 0))


@row("ms", 3, alone=True, why=f"the same with {CONTAINERS} containers in the group")
def view_of_many(stage):
    return beyond(view(stage, CONTAINERS, 0))


@row("mounts", 1, alone=True, why=f"more in a new container's namespace with {CONTAINERS} containers in the group than with none")
def view_mounts(stage):
    return view(stage, CONTAINERS, 0)["mounts"] - view(stage, 0, 0)["mounts"]


@row("ms", 9, alone=True, why=f"the first container of a group, on a host with {MOUNTS} local mounts, its program included")
def view_first(stage):
    return view(stage, 0, MOUNTS)["first"]


@row("ms", 5, alone=True, why="what hiding the host's secrets adds to the first container of a group")
def view_mask(stage):
    return view(stage, 0, 0)["mask"]


def everybody():
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and not is_zombie(int(p))]


def end_by_name(name):
    """A shim that had no task: it may stay after Shutdown, as containerd would then end it."""
    for pid in everybody():
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if name.encode() in words and b"delete" not in words:
                os.kill(pid, signal.SIGKILL)
                until(lambda: is_zombie(pid) or not os.path.exists(f"/proc/{pid}"), what="its end")


# ---- the run ---------------------------------------------------------------------------------


def floor(stage, program):
    took, _ = stage.spawn([program], "/")
    return took * 1000


def measure(name, function, unit, rounds, peers, writer, program):
    values = {p.name: [] for p in peers}
    stages = {p.name: Stage(p) for p in peers}
    for stage in stages.values():
        stage.floor = program
    with_floor = name in ("shim_start", "shim_delete")
    if with_floor:
        values["floor"] = []
    try:
        warm_up = 1 if rounds > 1 else 0
        for number in range(rounds + warm_up):
            for peer in peers:
                value = function(stages[peer.name])
                if number >= warm_up:
                    values[peer.name].append(value)
                    writer.writerow([name, peer.name, unit, number - warm_up, f"{value:.4f}"])
            if with_floor:
                value = floor(stages[peers[0].name], program)
                if number >= warm_up:
                    values["floor"].append(value)
                    writer.writerow([name, "floor", unit, number - warm_up, f"{value:.4f}"])
    finally:
        for stage in stages.values():
            stage.close()
    return values


def spread(values):
    """The middle half."""
    if len(values) < 4:
        return f"{min(values):.4g}-{max(values):.4g}"
    quarters = statistics.quantiles(values, n=4)
    return f"{quarters[0]:.4g}-{quarters[2]:.4g}"


def report(name, unit, better, values):
    ours = statistics.median(values["reaper"])
    for peer, list_of in values.items():
        median = statistics.median(list_of)
        ratio = ""
        if peer != "reaper":
            ratio = f"{ours / median:.3f} of it" if median else f"{ours:.4g} against 0"
            ratio += f", {ours - median:+.3g} {unit}" if peer == "floor" else ""
        print(f"{name:20} {peer:8} {median:10.4g} {unit:10} {spread(list_of):>18}   {ratio}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true", help="print the rows")
    parser.add_argument("--programs", help="where containerd-shim-runc-v2 is")
    parser.add_argument("--floor", help="the empty static program")
    parser.add_argument("--rows", default="", help="only rows that match")
    parser.add_argument("--rounds", type=float, default=1.0, help="a factor for all numbers of rounds")
    args = parser.parse_args()
    if args.list:
        for name, _, unit, _, _, what in ROWS:
            print(f"{name:20} {unit:10} {what.get('why', '')}")
        return
    if not args.programs or not args.floor:
        parser.error("--programs and --floor are needed")

    rootfs = "/run/rootfs"
    make_rootfs(rootfs)
    os.environ["TMPDIR"] = "/run/tmp"
    os.environ["PATH"] = f"/run/bin:{os.environ['PATH']}"
    peers = all_peers(args.programs, rootfs)
    if any(re.search(args.rows, name) for name, *_ in ROWS if name.startswith("ctr_")):
        start_containerd(args.programs)
    print(f"{'row':20} {'peer':8} {'median':>10} {'unit':10} {'middle half':>18}   reaper is")
    with open("/run/out/results.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "peer", "unit", "round", "value"])
        for name, function, unit, rounds, better, what in ROWS:
            if re.search(args.rows, name):
                times = max(1, round(rounds * args.rounds))
                compared = peers[:1] if what.get("alone") else peers
                report(name, unit, better, measure(name, function, unit, times, compared, writer, args.floor))
                file.flush()


def start_containerd(programs):
    """For the rows with ctr; it ends with this pid namespace."""
    state = pathlib.Path("/run/containerd-bench")
    state.mkdir()
    (state / "config.toml").write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    words = [f"{programs}/containerd", "--root", f"{state}/root", "--state", f"{state}/state",
             "--address", f"{state}/containerd.sock", "--config", f"{state}/config.toml"]  # fmt: skip
    env = {**os.environ, "PATH": f"{BINARIES}:{programs}:{os.environ['PATH']}"}
    with open("/run/out/containerd.log", "wb") as log:
        subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    CTR[:] = [f"{programs}/ctr", "-a", f"{state}/containerd.sock"]
    until(lambda: subprocess.run([*CTR, "version"], capture_output=True).returncode == 0, what="containerd")


def all_peers(programs, rootfs):
    shim = f"{programs}/containerd-shim-runc-v2"
    peers = [Peer("reaper", BINARIES / "containerd-shim-reaper-v2", None), Peer("runc", shim, rootfs)]
    if shutil.which("crun"):
        crun = Peer("crun", shim, rootfs, "/run/bin/crun")
        with open(crun.binary, "w") as file:
            file.write(f'#!/bin/sh\nRUNC={shutil.which("crun")} exec /run/bin/runc "$@"\n')
        os.chmod(crun.binary, 0o755)
        stage = Stage(crun)
        try:
            task_life(stage)
            peers.append(crun)
        except Exception as error:
            print(f"crun is left out, it does not run here: {error}")
        finally:
            stage.close()
    else:
        print("crun is left out, it is not installed")
    return peers


def make_rootfs(path):
    """The host's busybox for runc: the same program on both sides."""
    for directory in ("bin", "dev", "etc", "proc", "run", "sys", "tmp"):
        os.makedirs(f"{path}/{directory}", exist_ok=True)
    shutil.copy("/bin/busybox", f"{path}/bin/busybox")
    for applet in ("dd", "sh", "sleep", "true"):
        os.symlink("busybox", f"{path}/bin/{applet}")
    os.makedirs("/run/bin", exist_ok=True)
    os.symlink(HERE.parent.parent / "ci/runc-without-sys-resource", "/run/bin/runc")
    os.environ.setdefault("RUNC", shutil.which("runc", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin") or "runc")


if __name__ == "__main__":
    main()
