"""Rows of the view: of making it alone (view.c), without a shim, and of the files in it. Nobody else has one."""

import contextlib
import os
import pathlib
import statistics
import subprocess

from stage import BINARIES, plain_pod, row

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


# ---- the files in it ----

FILES = BINARIES / "tests/support/bench-files"
WORK = {"view_read": "r", "view_write": "w", "view_stat": "s", "view_readdir": "d", "view_walk": "t", "view_open": "o"}
ON_AN_OVERLAY = {f"{name}_overlay": WORK[name] for name in ("view_stat", "view_walk", "view_open")}
TURNS = 11


class Worker:
    """files.c at work, on the host or in a container, whose descriptors these are."""

    def __init__(self, write, read):
        self.write, self.read = write, open(read, "rb", buffering=0)

    def took(self, work):
        os.write(self.write, work.encode())
        text = b""
        while not text.endswith(b"\n"):
            piece = self.read.read(64)
            assert piece, f"bench-files has ended: {text}"
            text += piece
        return int(text)

    def close(self):
        os.close(self.write)
        self.read.close()


def words(directory):
    """Its command: the largest file of the largest directory of libraries, and a tree that nobody has written to."""
    largest = max((p for p in pathlib.Path("/usr/lib").iterdir() if p.is_dir()), key=lambda p: len(os.listdir(p)))
    files = [p for p in largest.iterdir() if p.is_file() and not p.is_symlink()]
    return [str(FILES), str(max(files, key=lambda p: p.stat().st_size)), "/usr/share", directory]


# what a container of any runtime has as its root: one layer over another, here of the host's files
OVERLAY = """
mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/root
exec chroot /mnt/root "$@"
"""


@contextlib.contextmanager
def on_the_host(directory="/run/tmp/bench-files", *prefix):
    process = subprocess.Popen([*prefix, *words(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    made = Worker(os.dup(process.stdin.fileno()), os.dup(process.stdout.fileno()))
    process.stdin.close()
    process.stdout.close()
    yield made
    made.close()
    process.wait()


def on_an_overlay():
    return on_the_host("/usr/bench-files", "unshare", "--mount", "sh", "-ec", OVERLAY, "sh")


@contextlib.contextmanager
def in_the_view(stage):
    # a group of its own, in which nobody has written
    stage.settings["REAPER_OVERLAY_ISOLATION"] = "pod"
    name = stage.bundle(*words("/usr/bench-files"), **plain_pod())
    fifos = [str(stage.directory / name / stream) for stream in ("in", "out")]
    for path in fifos:
        os.mkfifo(path)
    read = os.open(fifos[1], os.O_RDONLY | os.O_NONBLOCK)
    _, task = stage.begin(name)
    stage.create(name, task, stdin=fifos[0], stdout=fifos[1])
    os.set_blocking(read, True)
    made = Worker(os.open(fifos[0], os.O_WRONLY), read)
    task.call("Start", id=name)
    try:
        yield made
    finally:
        made.close()
        task.call("Kill", id=name, signal=9)
        task.call("Wait", id=name)
        task.call("Delete", id=name)
        stage.finish(name, task)
        stage.remove(name)
        del stage.settings["REAPER_OVERLAY_ISOLATION"]


def compared(one, other, works):
    found = {}
    for name, work in works.items():
        turns = [(one.took(work), other.took(work)) for _ in range(TURNS + 1)][1:]
        found[name] = statistics.median(o for o, _ in turns) / statistics.median(v for _, v in turns)
    return found


@row("of the host's", 5, better="more", parts=tuple(WORK), alone=True,
     why="throughput in the view, files that nobody has written to yet, all in memory, by processor time; writing: a new file, of tmpfs on both sides")  # fmt: skip
def view_files(stage):
    with on_the_host() as host, in_the_view(stage) as view:
        return compared(host, view, WORK)


@row("of an overlay's", 5, better="more", parts=tuple(ON_AN_OVERLAY), alone=True,
     why="the same, of what a plain overlay of the host's root has: the view's own share of what is slower than on the host")  # fmt: skip
def view_overlay(stage):
    with on_an_overlay() as overlay, in_the_view(stage) as view:
        return compared(overlay, view, ON_AN_OVERLAY)


@row("ms", 3, alone=True, why="the first write to a small file of the host's, its copy included")
def view_copy_up(stage):
    with in_the_view(stage) as view:
        return statistics.median(view.took("c") for _ in range(200)) / 1e6
