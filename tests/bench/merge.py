#!/usr/bin/env python3
"""What `reaperctl containerd plan` costs besides the daemon's own program, and its size.

    tests/bench/merge.py [BUILD [CONTAINERD]]    default: build, /usr/bin/containerd; take one of 2.x,
                                                 for 1.x needs a minute for 5,000 tables itself

A stand-in plays containerd: it prints what the real one printed before. The
time of its calls alone is measured too and taken off. Prints numbers; asserts nothing.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
REAL = sys.argv[2] if len(sys.argv) > 2 else "/usr/bin/containerd"
STAND_IN = """#!/bin/sh
case $1 in --version) exec cat {0}/version ;; esac
if grep -q 'reaper block' "$2"; then exec cat {0}/after; fi
exec cat {0}/before
"""


def seconds(argv, rounds=20):
    """Processor time: the wall clock would measure what else the machine does."""

    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(rounds):
        begin = used()
        subprocess.run(argv, capture_output=True)
        times.append(used() - begin)
    return min(times)


def measure(ctl, text):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        base = pathlib.Path(name)
        tree, program = base / "root", base / "containerd"
        config = tree / "etc/containerd/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(text)
        plan = [ctl, "containerd", "plan", "--root", tree, "--containerd", program]

        def record(to, file):
            (base / to).write_bytes(subprocess.run([REAL, "-c", file, "config", "dump"], capture_output=True, check=True).stdout)

        (base / "version").write_bytes(subprocess.run([REAL, "--version"], capture_output=True, check=True).stdout)
        record("before", config)
        shutil.copy(REAL, program)
        subprocess.run([ctl, "containerd", "apply", "--root", tree, "--containerd", program], capture_output=True, check=True)
        record("after", config)
        subprocess.run([ctl, "containerd", "undo", "--root", tree, "--containerd", program], capture_output=True, check=True)
        program.unlink()
        program.write_text(STAND_IN.format(base))
        program.chmod(0o755)
        assert subprocess.run(plan, capture_output=True).returncode == 10
        whole = seconds(plan)
        block = tree / "block"
        block.write_text("# reaper block")
        calls = sum(seconds([program, *words]) for words in (["--version"], ["--config", config], ["--config", block]))
        return whole, calls


def stripped_size(path, work):
    subprocess.run(["strip", "-o", work / "stripped", path], check=True)
    return (work / "stripped").stat().st_size


def sizes(ctl):
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        (work / "empty.c").write_text("int main(void)\n{\n\treturn 0;\n}\n")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-fPIE", "-static-pie", "-Wl,--gc-sections", "-o", work / "empty", work / "empty.c"], check=True)
        return stripped_size(ctl, work), stripped_size(work / "empty", work)


def main():
    ctl = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build") / "reaperctl"
    stock = (ROOT / "tests/data/containerd/corpus/stock.toml").read_text()
    for name, text in [("stock file", stock), *((f"{n} tables", stock + "".join(
            f'[proxy_plugins."p{i}"]\ntype = "snapshot"\naddress = "/run/{"x" * 160}/{i}.sock"\n' for i in range(n))) for n in (1250, 2500, 5000))]:  # fmt: skip
        whole, calls = measure(ctl, text)
        print(f"plan, {name} ({len(text) / 1024:.0f} KiB): {1000 * (whole - calls):.1f} ms besides the oracle "
              f"({1000 * whole:.1f} ms with a stand-in for it, {1000 * calls:.1f} ms of that are its own)")  # fmt: skip
    size, empty = sizes(ctl)
    print(f"reaperctl: {size / 1000:.0f} kB stripped; an empty static-pie: {empty / 1000:.0f} kB; {(size - empty) / 1000:.0f} kB more")


main()
