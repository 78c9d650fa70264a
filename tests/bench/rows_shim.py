"""Rows that drive the shim as containerd does, without containerd, whose own time would hide the shims'."""

import contextlib
import os
import select
import threading
import time

from stage import cpu, end_by_name, everybody, is_zombie, memory_of, row, switches, timers, until


@row("ms", 30, floor="empty", why="until the answer is there; the floor is an empty static program")
def shim_start(stage):
    name = stage.bundle("/bin/busybox", "true")
    took, task = stage.begin(name)
    shim = task.call("Connect", id=name).shim_pid if stage.peer.name == "reaper" else None
    stage.finish(name, task)
    if shim is None:
        end_by_name(name)
    stage.remove(name)
    return took * 1000


@row("ms", 30, floor="empty", why="the `delete` call of a task that was never created; the same floor")
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


MEGABYTES = 500
BULK = ("/bin/busybox", "dd", "if=/dev/zero", "bs=64k", f"count={MEGABYTES * 16}")
LINES = 200000
LINE = "a line of sixty bytes, as programs write to their logs today"
BY_LINES = ("/bin/busybox", "sh", "-c", f"i={LINES}; while [ $i -gt 0 ]; do echo {LINE}; i=$((i-1)); done")


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


def drain(fifo, totals):
    """Reads as containerd's client does: both outputs, with one buffer of 32 KiB. A new one for each read takes the reader
    more time than workload and shim together, and an end is told late while bytes lie in a FIFO that nobody reads."""
    piece, total = bytearray(32 << 10), 0
    with open(fifo, "rb", buffering=0) as file:
        while count := file.readinto(piece):
            total += count
    totals[fifo.name] = total


def stream(stage, command, size):
    """(seconds, processor seconds of the shim) until the output of a command has arrived."""
    name = stage.bundle(*command)
    fifos = [stage.directory / name / each for each in ("out", "err")]
    totals = {}
    readers = [threading.Thread(target=drain, args=(each, totals)) for each in fifos]
    for fifo, reader in zip(fifos, readers):
        os.mkfifo(fifo)
        reader.start()
    _, task = stage.begin(name)
    stage.create(name, task, stdout=str(fifos[0]), stderr=str(fifos[1]))
    shim = task.call("Connect", id=name).shim_pid
    before = cpu(shim)
    began = time.perf_counter()
    task.call("Start", id=name)
    task.call("Wait", id=name)
    for reader in readers:
        reader.join()
    took = time.perf_counter() - began
    used = cpu(shim) - before
    task.call("Delete", id=name)
    stage.finish(name, task)
    stage.remove(name)
    assert totals["out"] == size, f"{totals['out']} bytes arrived"
    return took, used


IDLE = 60


@row("switches", 1, parts=("idle_wakeups", "idle_cpu"), units={"idle_cpu": "ms CPU"},
     why=f"context switches and processor time of an idle shim in {IDLE} seconds")  # fmt: skip
def idle(stage):
    with stage.running("/bin/busybox", "sleep", "1000") as (_, _, shim, _):
        time.sleep(2)  # what the start still has to do
        before, used = switches(shim), cpu(shim)
        time.sleep(IDLE)
        return {"idle_wakeups": switches(shim) - before, "idle_cpu": (cpu(shim) - used) * 1000}


@row("timers", 1, why="armed timerfds and POSIX timers of an idle shim")
def idle_timers(stage):
    with stage.running("/bin/busybox", "sleep", "1000") as (_, _, shim, _):
        time.sleep(2)
        return timers(shim)


SANDBOX = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod"}
CONTAINER = {**SANDBOX, "io.kubernetes.cri.container-type": "container"}


def pod_up(stage, **annotations):
    """A pod with one container: ([(name, Task)], seconds that its bundles took, which are a daemon's work)."""
    made, bundles = [], 0.0
    for kind in (SANDBOX, CONTAINER):
        before = time.perf_counter()
        name = stage.bundle("/bin/busybox", "sleep", "1000", annotations={**kind, **annotations})
        bundles += time.perf_counter() - before
        _, task = stage.begin(name)
        stage.create(name, task)
        task.call("Start", id=name)
        made.append((name, task))
    return made, bundles


def pod_down(stage, made):
    for name, task in reversed(made):
        task.call("Kill", id=name, signal=9)
        task.call("Wait", id=name)
        task.call("Delete", id=name)
    for name, task in reversed(made):
        stage.finish(name, task)
        stage.remove(name)


@row("processes", 1, why="of a pod with one container, besides its workload")
def processes_per_pod(stage):
    before = set(everybody())
    made, _ = pod_up(stage)
    count = len(set(everybody()) - before) - 1
    pod_down(stage, made)
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
        return sum(memory_of(shim, "Private_Dirty") for shim in shims) / count


# ---- the view: no shim is in it, and nobody else has one ----


# ---- one moment to another: clocks of the workload and of this process are the same one ----


def stamped(stage, *words, stdin=False):
    """Makes a task of the stamping workload: (name, Task, reader of its stdout, writer of its stdin)."""
    name = stage.bundle(*stage.peer.workload(*words))
    paths = {}
    for each in ("stdin", "stdout", "stderr"):
        paths[each] = str(stage.directory / name / each)
        os.mkfifo(paths[each])
    if not stdin:
        del paths["stdin"]
    fds = {each: os.open(path, os.O_RDWR | os.O_NONBLOCK) for each, path in paths.items()}
    _, task = stage.begin(name)
    stage.create(name, task, **paths)
    return name, task, fds


def read_stamp(fds):
    ready, _, _ = select.select([fds["stdout"]], [], [], 30)
    assert ready, "the workload says nothing"
    return int(os.read(fds["stdout"], 64))


def put_away(stage, name, task, fds):
    task.call("Wait", id=name)
    task.call("Delete", id=name)
    stage.finish(name, task)
    stage.remove(name)
    for fd in fds.values():
        os.close(fd)


@row("ms", 30, why="from the Start request until the workload's first instruction of its own")
def start_to_exec(stage):
    name, task, fds = stamped(stage, "stamp")
    began = time.monotonic_ns()
    task.call("Start", id=name)
    took = read_stamp(fds) - began
    put_away(stage, name, task, fds)
    return took / 1e6


@row("ms", 30, why="from the workload's last instruction until TaskExit is at containerd's socket")
def exit_to_event(stage):
    name, task, fds = stamped(stage, "bye", stdin=True)
    task.call("Start", id=name)
    # this side's writer and the shim's: the workload sees the end of its stdin
    os.close(fds.pop("stdin"))
    task.call("CloseIO", id=name, stdin=True)
    ended = read_stamp(fds)
    stage.events.wait("/tasks/exit", id=name)
    took = stage.events.came("/tasks/exit") - ended
    put_away(stage, name, task, fds)
    return took / 1e6


RATE = 10000
SECONDS = 3


@row("ms CPU", 5, why=f"of the shim, for {SECONDS} seconds of {RATE} lines of 100 bytes a second, each its own write")
def paced_lines_cpu(stage):
    return stream(stage, stage.peer.workload("lines", RATE, RATE * SECONDS), RATE * SECONDS * 100)[1] * 1000


# ---- a pod, without a daemon ----


@row("ms", 20, parts=("pod_share_up", "pod_share_down"), floor="pod",
     why="what shim and runtime take of a pod with one container, up and down; a daemon's time is not in it")  # fmt: skip
def pod_share(stage):
    began = time.perf_counter()
    # each pod is another one
    made, bundles = pod_up(stage, **{"io.kubernetes.cri.sandbox-id": f"pod{stage.count}"})
    up = time.perf_counter() - began - bundles
    began = time.perf_counter()
    pod_down(stage, made)
    return {"pod_share_up": up * 1000, "pod_share_down": (time.perf_counter() - began) * 1000}
