"""The benchmarks. Started by scripts/run-benchmarks.sh inside tests/conformance/isolated; each row
measures every peer in turn, A B A B, after a warm-up, and writes CSV: row, peer, unit, round, value.

A row is a function with the decorator `row` (stage.py); add one and it is run, printed and written.
"""

import argparse
import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import rows_daemon
import rows_shim
import rows_view
import syscalls
from daemon import Daemon
from stage import BINARIES, HERE, ROWS, WORKLOAD, Peer, Stage

assert rows_shim and rows_view  # their rows are in ROWS


def empty_program(stage, program):
    took, _ = stage.spawn([program], "/")
    return took * 1000


def of_floor(stage, program, name):
    """What floor.c says of one of its parts, in ms."""
    with tempfile.TemporaryDirectory(dir="/run/tmp") as directory:
        text = subprocess.run([program, "3", directory], check=True, capture_output=True, text=True).stdout
    return float(dict(line.split() for line in text.splitlines())[name])


def measure(name, function, unit, rounds, peers, what, program, write):
    """Calls write(row, peer, unit, round, value) of each value."""
    stages = {p.name: Stage(p) for p in peers}
    for stage in stages.values():
        stage.floor = program
    parts, units, floor = what["parts"] or (name,), what.get("units", {}), what.get("floor")
    try:
        warm_up = 1 if rounds > 1 else 0
        for number in range(-warm_up, rounds):
            for peer in peers:
                values = function(stages[peer.name])
                values = values if what["parts"] else {name: values}
                for part in parts if number >= 0 else ():
                    write(part, peer.name, units.get(part, unit), number, values[part])
            if floor and number >= 0:
                stage = stages[peers[0].name]
                value = empty_program(stage, program) if floor == "empty" else of_floor(stage, program, floor)
                write(parts[0], "floor", unit, number, value)
    finally:
        for stage in stages.values():
            stage.close()


def spread(values):
    """The middle half."""
    if len(values) < 4:
        return f"{min(values):.4g}-{max(values):.4g}"
    quarters = statistics.quantiles(values, n=4)
    return f"{quarters[0]:.4g}-{quarters[2]:.4g}"


def report(part, unit, values):
    """values: {peer: [..]}"""
    ours = statistics.median(values["reaper"])
    for peer, list_of in values.items():
        median = statistics.median(list_of)
        ratio = ""
        if peer != "reaper":
            ratio = f"{ours / median:.3f} of it" if median else f"{ours:.4g} against 0"
            ratio += f", {ours - median:+.3g} {unit}" if peer == "floor" else ""
        print(f"{part:20} {peer:8} {median:10.4g} {unit:10} {spread(list_of):>18}   {ratio}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--list", action="store_true", help="print the rows")
    parser.add_argument("--programs", help="where containerd-shim-runc-v2 is")
    parser.add_argument("--floor", help="floor.c, built")
    parser.add_argument("--rows", default="", help="only rows that match")
    parser.add_argument("--rounds", type=float, default=1.0, help="a factor for all numbers of rounds")
    args = parser.parse_args()
    if args.list:
        for name, _, unit, _, _, what in ROWS:
            for part in what["parts"] or (name,):
                print(f"{part:20} {what.get('units', {}).get(part, unit):10} {what.get('why', '')}")
        return
    if not args.programs or not args.floor:
        parser.error("--programs and --floor are needed")

    rootfs = "/run/rootfs"
    make_rootfs(rootfs)
    os.environ["TMPDIR"] = "/run/tmp"
    os.environ["PATH"] = f"/run/bin:{os.environ['PATH']}"
    peers = all_peers(args.programs, rootfs)
    rows_daemon.DAEMON.append(Daemon(args.programs))
    failed = []
    print(f"{'row':20} {'peer':8} {'median':>10} {'unit':10} {'middle half':>18}   reaper is")
    with open("/run/out/results.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "peer", "unit", "round", "value"])
        for name, function, unit, rounds, _, what in ROWS:
            if not any(re.search(args.rows, part) for part in (name, *what["parts"])):
                continue
            times = max(1, round(rounds * args.rounds))
            compared = [p for p in peers if p.name in what.get("peers", ("reaper",) if what.get("alone") else (p.name,))]
            found = {}

            def write(part, peer, unit, number, value, found=found):
                writer.writerow([part, peer, unit, number, f"{value:.4f}"])
                found.setdefault(part, (unit, {}))[1].setdefault(peer, []).append(value)

            try:
                measure(name, function, unit, times, compared, what, args.floor, write)
            except Exception as error:
                # the other rows are worth having
                failed.append(name)
                print(f"{name}: FAILED: {error!r}")
            for part, (its_unit, values) in found.items():
                if "reaper" in values:
                    report(part, its_unit, values)
            file.flush()
    if re.search(args.rows, "syscalls"):
        syscalls.write("/run/out/syscalls.csv", Stage(peers[0]))
    if failed:
        sys.exit(f"failed: {' '.join(failed)}")


# a crun that is older than the version of the specification that containerd 2.4 names refuses it; what it is asked for,
# it knows
CRUN = """#!/bin/bash
previous=
for argument in "$@"; do
    case $previous in
    --bundle | -b) sed -i 's/"ociVersion":"1\\.[1-9][^"]*"/"ociVersion":"1.0.2"/' "$argument/config.json" ;;
    esac
    previous=$argument
done
RUNC={crun} exec /run/bin/runc "$@"
"""


def all_peers(programs, rootfs):
    shim = f"{programs}/containerd-shim-runc-v2"
    peers = [Peer("reaper", BINARIES / "containerd-shim-reaper-v2", None), Peer("runc", shim, rootfs)]
    if shutil.which("crun"):
        crun = Peer("crun", shim, rootfs, "/run/bin/crun")
        with open(crun.binary, "w") as file:
            file.write(CRUN.format(crun=shutil.which("crun")))
        os.chmod(crun.binary, 0o755)
        stage = Stage(crun)
        try:
            rows_shim.task_life(stage)
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
    shutil.copy(WORKLOAD, f"{path}/bin/workload")
    for applet in ("dd", "sh", "sleep", "true"):
        os.symlink("busybox", f"{path}/bin/{applet}")
    os.makedirs("/run/bin", exist_ok=True)
    os.symlink(HERE.parent.parent / "ci/runc-without-sys-resource", "/run/bin/runc")
    os.environ.setdefault("RUNC", shutil.which("runc", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin") or "runc")


if __name__ == "__main__":
    main()
