#!/usr/bin/env python3
"""Bytes of a process through its shim into the client's FIFO: time and the shim's processor time,
beside runc's shim in turns. Prints one CSV row a measure with both medians and their ratio.

    REAPER_BINARIES=build python3 tests/bench/streams.py [--megabytes 500] [--rounds 5]

Needs root, runc and containerd-shim-runc-v2. docs/STREAMS.md has the figures."""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))

import bench  # noqa: E402
from machine import is_zombie  # noqa: E402
from ttrpc import Task  # noqa: E402
from waiting import until  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
PROGRAMS = ("/bin/sh", "/bin/dd")
PATTERNS = {
    # one writer in big pieces, and one that writes each line by itself
    "stream.bulk": lambda mb: ("/bin/dd", "if=/dev/zero", "bs=64k", f"count={mb * 16}", "status=none"),
    "stream.lines": lambda mb: ("/bin/sh", "-c", f"i={mb * 2000}; while [ $i -gt 0 ]; do "
                                "echo a line of sixty bytes, as programs write to their logs today; i=$((i-1)); done"),
}  # fmt: skip


def make_rootfs(rootfs):
    """The programs and their libraries, copied: nothing of the host is mounted where a directory is
    removed afterwards."""
    files = set(PROGRAMS)
    for program in PROGRAMS:
        libraries = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout
        files.update(re.findall(r"(/\S+) \(0x", libraries))
    for file in files:
        target = rootfs / file.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)


class Shim:
    def __init__(self, name, program):
        self.name = name
        self.program = pathlib.Path(program)

    def measure(self, args):
        """(seconds, processor seconds of the shim) of one container's output."""
        bench.SHIM = self.program
        run = bench.Bench()
        try:
            bundle = run.make_bundle("one", bench.spec(*args))
            make_rootfs(bundle / "rootfs")
            address = run.shim("start", bundle=bundle, name="one").stdout.decode().strip()
            task = Task(run.connect(address.removeprefix("unix://")), "v2")
            shim_pid = task.call("Connect", id="one").shim_pid
            # runc's shim wants a stderr as well
            fifos = {name: str(bundle / name) for name in ("stdout", "stderr")}
            readers = []
            for fifo in fifos.values():
                os.mkfifo(fifo)
                readers.append(subprocess.Popen(["dd", f"if={fifo}", "of=/dev/null", "bs=32k", "status=none"]))
            task.call("Create", id="one", bundle=str(bundle), **fifos)
            before = self.cpu(shim_pid)
            begin = time.monotonic()
            task.call("Start", id="one")
            assert [reader.wait(600) for reader in readers] == [0, 0]
            seconds = time.monotonic() - begin
            assert task.call("Wait", id="one").exit_status == 0
            used = self.cpu(shim_pid) - before
            task.call("Delete", id="one")
            task.call("Shutdown", id="one")
            until(lambda: is_zombie(shim_pid))
            run.shim("-bundle", str(bundle), "delete", bundle=bundle, name="one", check=False)
            return seconds, used
        finally:
            run.close()

    @staticmethod
    def cpu(pid):
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def rows(megabytes, rounds):
    """(measure, ours, runc's) with medians of interleaved rounds."""
    shims = [Shim("reaper", bench.SHIM), Shim("runc", shutil.which("containerd-shim-runc-v2"))]
    for pattern, command in PATTERNS.items():
        results = {shim.name: [] for shim in shims}
        for _ in range(rounds):
            for shim in shims:
                results[shim.name].append(shim.measure(command(megabytes)))
        for index, unit in enumerate(("seconds", "cpu_seconds")):
            ours, theirs = (statistics.median(r[index] for r in results[s.name]) for s in shims)
            yield f"{pattern}.{unit}", ours, theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("measure,reaper,runc,reaper/runc")
    for name, ours, theirs in rows(options.megabytes, options.rounds):
        print(f"{name},{ours:.3f},{theirs:.3f},{ours / theirs:.3f}" if theirs else f"{name},{ours:.3f},0,", flush=True)


if __name__ == "__main__":
    main()
