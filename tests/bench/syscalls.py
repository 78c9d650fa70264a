"""The system calls of `start` and of `init`, counted by tests/support/sysfault; syscalls.txt says what each is for."""

import collections
import csv
import pathlib
import re

from faults import sysfault
from ttrpc import Task
from waiting import until

HERE = pathlib.Path(__file__).resolve().parent


def count(path):
    return collections.Counter(line.split()[2] for line in pathlib.Path(path).read_text().splitlines())


def address_of(made):
    """The socket's path in the answer of `start`; nothing that is not text stands behind it."""
    return re.search(r"unix://([!-~]+)", made.stdout).group(1)


def calls_of(stage):
    """{"start": Counter, "init": Counter} of one task of true."""
    found = {}
    name = stage.bundle("/bin/busybox", "true")
    bundle = stage.directory / name
    stdin = stage.directory / "bootstrap"
    stdin.write_bytes(stage.stdin(name))
    words = ["sh", "-c", 'exec "$@" <"$0"', stdin, *stage.argv(name, "start")]
    made = sysfault(words, comm="containerd-shim", list=f"{bundle}/start.txt", cwd=bundle, environment=stage.environment())
    found["start"] = count(f"{bundle}/start.txt")
    stage.finish(name, Task(stage.connect(address_of(made))))
    stage.remove(name)

    # another container of the group is there: `init` finds the view of the host made. The second one looks once what
    # the first has open; from the third on nothing has changed
    with stage.running("/bin/busybox", "sleep", "1000"), stage.running("/bin/busybox", "sleep", "1000"):
        found["init"] = calls_of_init(stage, words, stdin)
    return found


def calls_of_init(stage, words, stdin):
    name = stage.bundle("/bin/busybox", "true")
    bundle = stage.directory / name
    words[-len(stage.argv(name, "start")) :] = stage.argv(name, "start")
    stdin.write_bytes(stage.stdin(name))
    made = sysfault(words, comm="reaper-runtime", follow=True, detach=True, list=f"{stage.directory}/init.txt", cwd=bundle,
                    environment=stage.environment())  # fmt: skip
    task = Task(stage.connect(address_of(made)))
    stage.create(name, task)
    task.call("Start", id=name)
    task.call("Wait", id=name)
    task.call("Delete", id=name)
    stage.finish(name, task)
    until(made.path.exists, what="sysfault's report")
    until(lambda: made.path.read_text(), what="sysfault's report")
    stage.remove(name)
    return count(f"{stage.directory}/init.txt")


def write(path, stage):
    try:
        found = calls_of(stage)
    finally:
        stage.close()
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["program", "call", "count"])
        for program, counter in found.items():
            for call, number in sorted(counter.items()):
                writer.writerow([program, call, number])
            print(f"system calls of {program}: {sum(counter.values())}, {len(counter)} kinds")


def explained():
    """{(program, call): why}"""
    lines = (HERE / "syscalls.txt").read_text().splitlines()
    rows = [line.split(None, 2) for line in lines if line.strip() and not line.startswith("#")]
    return {(program, call): why for program, call, why in rows}
