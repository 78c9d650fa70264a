"""A whole life of a task at a shim, as containerd leads it, of which one program may be disturbed by sysfault.

Whatever the disturbance does, containerd's side of it is done to the end: a task that cannot be created is
deleted, a shim that is gone is followed by the `delete` call, and the bundle is removed. What then is not as
it was before, or what was said that is not true, is a line of `Life.wrong`.
"""

import os
import signal
import subprocess

from bench import NAMESPACE, SHIM, exec_spec, spec
from faults import sysfault
from machine import is_zombie
from trees import remove_tree
from ttrpc import NOT_FOUND, TASK, Connection, RpcError, Task
from waiting import until

# two processes, and an end that comes when it is asked for
SCRIPT = "sleep 600 & echo hello; read line; exit 7"
EXIT, EXEC_EXIT, TERMINATED, KILLED = 7, 5, 143, 137
POD = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "one",
       "io.kubernetes.cri.sandbox-namespace": "team", "io.kubernetes.cri.sandbox-name": "web-0"}  # fmt: skip
MEMBER = {**POD, "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "main"}
# far beyond what any call takes: who is slower does not answer at all
PATIENCE = 60

# The programs of a life, each with what sysfault has to know: in which command it is, under which name, and
# whether it is behind a fork of that command.
PROGRAMS = {
    "start": ("start", None, False),
    "join": ("start", None, False),
    "shim": ("start", "shim-reaper-v2", True),
    "init": ("start", "reaper-runtime", True),
    "sandbox": ("start", "reaper-sandbox", True),
    "delete": ("delete", None, False),
    "release": ("delete", None, False),  # the same, of a shim that lives and has lost its connection
}
# (is it a pod, program): all that can be disturbed
PLACES = [(False, "start"), (False, "shim"), (False, "init"), (False, "delete"), (True, "start"), (True, "join"),
          (True, "shim"), (True, "sandbox"), (True, "init"), (True, "delete"), (False, "release"), (True, "release")]  # fmt: skip


def place_name(place):
    return f"{'pod' if place[0] else 'task'}-{place[1]}"


def not_started(name):
    """The key of its exit code in Life.told."""
    return f"{name} that did not start"


class Gone(Exception):
    """The shim does not answer any more."""


class Life:
    """`pod`: a sandbox and a container in it, with a view of their own; else one container.

    `program` with `fault` (at, action and call of sysfault) is what is disturbed. `cut` is the call before which
    the shim is killed, as self.calls names it, `lost` the one before which containerd loses the connection.
    """

    def __init__(self, bench, pod=False, program=None, cut=None, lost=None, **fault):
        self.bench, self.pod, self.program, self.cut, self.lost, self.fault = bench, pod, program, cut, lost, fault
        self.wrong = []
        self.calls = []
        self.told = {}  # exit codes, as answers gave them
        self.errors = []  # what was answered instead
        self.report = None
        self.task = None
        self.files, self.reports = [], []
        self.deleted = set()  # containers whose Delete was answered
        self.again = False
        self.sandbox_pid = self.shim_pid = 0

    # ---- the two commands ----

    def command(self, action, name):
        """Runs `start` or `delete` of one container: (status, stdout, stderr)."""
        bundle = self.bench.directory / name
        argv = [SHIM, "-namespace", NAMESPACE, "-address", self.bench.address, "-publish-binary", "/usr/bin/containerd",
                "-id", name, *(["-bundle", bundle] if action == "delete" else []), action]  # fmt: skip
        where, comm, behind = PROGRAMS.get(self.program, (None, None, False))
        second = self.program == "join" or action == "delete"  # of a pod
        how = {"cwd": bundle, "text": False, "timeout": PATIENCE, "environment": self.bench.environment()}
        if where == action and not self.report and (not self.pod or second == (name == "two")):
            made = self.report = sysfault(argv, comm=comm, follow=behind, detach=behind, reap=behind, **how, **self.fault)
        elif action == "start" and name == "one":
            # not disturbed: sysfault stands for the init of a node, which takes and reaps what loses its parent
            made = sysfault(argv, comm="none", detach=True, reap=True, **how)
        else:
            del how["environment"], how["text"]
            made = subprocess.run([str(word) for word in argv], env=self.bench.environment(), stdin=subprocess.DEVNULL,
                                  capture_output=True, **how)  # fmt: skip
            return made.returncode, made.stdout, made.stderr
        if made.calls is None:
            self.reports.append(made)
        return made.status, made.stdout, made.stderr

    def start(self, name):
        """True: a shim answers; False: `start` has failed; None: it said an address, and nobody is there."""
        status, out, said = self.command("start", name)
        if status != 0:
            if status != KILLED and (out or len(said.splitlines()) != 1):
                self.wrong.append(f"start: status {status}, {out!r}, {said!r}")
            self.errors.append(f"start: {said.decode(errors='replace')}")
            return False
        if said or not out.startswith(b"unix:///"):
            self.wrong.append(f"start: {out!r} {said!r}")
            return False
        try:
            connection = Connection(out.decode().removeprefix("unix://"), timeout=PATIENCE)
        except OSError as error:
            self.errors.append(f"connecting: {error}")
            return None
        self.files.append(connection)
        self.task = Task(connection)  # of the pod's shim, or of a new one where that has just ended
        return True

    def delete(self, name):
        """containerd's last word on a container; said again after its restart, if it did not come to its end."""
        status, out, said = self.command("delete", name)
        if self.report and self.program in ("delete", "release") and self.report.hit and not self.again:
            self.again = True
            if not all(line.startswith("containerd-shim-reaper-v2: delete") for line in said.decode().splitlines()):
                self.wrong.append(f"delete {name}: {said}")
            status, out, said = self.command("delete", name)
        if status != 0 or said:
            self.wrong.append(f"delete {name}: status {status}: {said.decode(errors='replace')}")
            return
        code = TASK.decode("DeleteResponse", out).exit_status
        # who was answered a Delete has the code; that a disk which failed has not taken it down, too, is in the log
        noted = name not in self.deleted or self.fault.get("action", "kill") == "kill"
        if noted and code != self.told.get(name, code):
            self.wrong.append(f"delete of {name} says exit code {code}, and before it was {self.told[name]}")
        # of one that did not start it is what Wait has said of it
        ends = (KILLED, TERMINATED if self.pod and name == "one" else EXIT, self.told.get(not_started(name), KILLED))
        if name not in self.told and code not in ends:
            self.wrong.append(f"delete of {name} says exit code {code}")

    # ---- calls ----

    def call(self, method, name, **fields):
        """None: refused. Gone: nobody answers."""
        self.calls.append(" ".join([method, name, *([fields["exec_id"]] if "exec_id" in fields else [])]))
        if self.calls[-1] == self.cut:
            os.kill(self.shim_pid, signal.SIGKILL)
            until(lambda: is_zombie(self.shim_pid))  # containerd sees its connection close then
            raise Gone
        if self.calls[-1] == self.lost:
            self.task.connection.close()
            raise Gone
        try:
            return self.task.call(method, id=name, **fields) or True
        except RpcError as error:
            if not error.message or "\n" in error.message:
                self.wrong.append(f"{method}: an error without a clear message: {error}")
            self.errors.append(f"{self.calls[-1]}: {error}")
            return None
        except TimeoutError:
            self.wrong.append(f"{self.calls[-1]} was not answered")
            raise Gone from None
        except OSError:
            # one that cannot begin to serve says so in its log; later on an error is the caller's to hear
            if self.fault.get("action", "kill") != "kill" and method != "Connect":
                self.wrong.append(f"the shim has ended at {self.calls[-1]}")
            raise Gone from None

    def must(self, method, name, **fields):
        """A call of those that clean up: that there is nothing is all it may answer besides."""
        answer = None
        for _ in range(2):  # the first one may be what was disturbed
            answer = self.call(method, name, **fields)
            if answer is not None or f"code {NOT_FOUND}:" in self.errors[-1]:
                return answer
        self.wrong.append(self.errors[-1])
        return answer

    def saw_exit(self, key, answer):
        if answer and self.told.setdefault(key, answer.exit_status) != answer.exit_status:
            self.wrong.append(f"the exit code of {key} was {self.told[key]}, then {answer.exit_status}")

    # ---- a container ----

    def make_bundle(self, name):
        config = spec("/bin/sh", "-c", SCRIPT)
        if self.pod:
            config = spec("/bin/sh", "-c", SCRIPT, annotations=POD if name == "one" else MEMBER)
        for each in config["linux"]["namespaces"] if self.sandbox_pid else ():
            if each["type"] in ("ipc", "uts", "network"):
                each["path"] = f"/proc/{self.sandbox_pid}/ns/{each['type'].replace('network', 'net')}"
        self.bench.make_bundle(name, config)

    def stdio(self, name):
        """containerd's ends of the FIFOs: (fields of Create, what is written to, what is read)."""
        paths = {stream: str(self.bench.directory / name / stream) for stream in ("stdin", "stdout")}
        for path in paths.values():
            os.mkfifo(path)
        made = [open(path, mode, buffering=0, opener=lambda p, _: os.open(p, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
                for path, mode in ((paths["stdin"], "wb"), (paths["stdout"], "rb"))]  # fmt: skip
        self.files += made
        return paths, *made

    def snapshot(self, name):
        """What containerd gives a container of an image without layers: the pod's writes lie there."""
        where = self.bench.directory / "snapshots" / name / "fs"
        where.mkdir(parents=True)
        return {"type": "bind", "source": str(where), "options": ["rw", "rbind"]}

    def begin(self, name, **stdio):
        """Create and Start; False when one of them was refused, and it is cleaned up."""
        rootfs = [self.snapshot(name)] if self.pod else []
        answer = self.call("Create", name, bundle=str(self.bench.directory / name), rootfs=rootfs, **stdio)
        if answer is None:
            self.must("Delete", name)
            return False
        if self.call("Start", name) is not None:
            return answer
        self.must("Kill", name, signal=9)
        self.saw_exit(not_started(name), self.must("Wait", name))
        if not self.must("Delete", name):
            self.wrong.append("there is nothing to delete after a Start that failed")
        return False

    def run(self, name):
        paths, writer, reader = self.stdio(name)
        if not self.begin(name, **paths):
            return
        if self.call("Exec", name, exec_id="e", spec=exec_spec("/bin/sh", "-c", f"exit {EXEC_EXIT}")):
            ran = self.call("Start", name, exec_id="e")
            self.saw_exit("e" if ran else "e that did not start", self.must("Wait", name, exec_id="e"))
            self.must("Delete", name, exec_id="e")
        writer.write(b"\n")
        self.saw_exit(name, self.must("Wait", name))
        # a pipe says EIO of a page that could not be read from its file: no byte comes through it any more
        if self.told.get(name) == EXIT and self.fault.get("action") != "EIO":
            if until(lambda: reader.read(100), what="its output") != b"hello\n":
                self.wrong.append("what it wrote has not come")
        self.saw_exit(name, answer := self.must("Delete", name))
        self.deleted |= {name} if answer else set()

    # ---- all of it ----

    def lead(self):
        begun = []
        try:
            self.live(begun)
        except Gone:
            pass
        except AssertionError as late:  # of until(): the rest is put away all the same
            self.wrong.append(str(late))
        for name in reversed(begun):
            self.delete(name)
            remove_tree(self.bench.directory / name)
        while self.bench.logs:
            os.close(self.bench.logs.pop())
        for each in self.files:
            each.close()
        for report in self.reports:
            try:
                until(report.has_come)
                report.close()
            except AssertionError:  # the census names it
                self.wrong.append("something of it has not ended")
                report.hit = report.call = report.calls = -1
        # later, as containerd does: a shim that leaves takes the pod's view out of them
        if (self.bench.directory / "snapshots").exists():
            remove_tree(self.bench.directory / "snapshots")
        self.check_exits()
        return self

    def live(self, begun):
        """`begun` are the containers that a `delete` is still to be called for."""
        for name in ("one", "two") if self.pod else ("one",):
            self.make_bundle(name)
            there = self.start(name)
            if there is False:  # containerd removes the bundle, and no more
                remove_tree(self.bench.directory / name)
                break
            begun.append(name)
            if there is None:
                return
            answer = self.call("Connect", name)
            if not answer:
                break
            self.shim_pid = answer.shim_pid
            if name == "two" or not self.pod:
                self.run(name)
                continue
            answer = self.begin(name)
            if not answer:
                break
            self.sandbox_pid = answer.pid
        if not self.task:
            return
        if self.sandbox_pid:
            self.must("Kill", "one", signal=15)
            self.saw_exit("one", self.must("Wait", "one"))
            self.saw_exit("one", answer := self.must("Delete", "one"))
            self.deleted |= {"one"} if answer else set()
        self.call("Shutdown", "one")
        until(lambda: is_zombie(self.shim_pid), what="the end of the shim that was told to go")

    def check_exits(self):
        """What was answered to Wait and Delete against what the programs did."""
        whole = not (self.fault.get("action") or self.cut or self.lost)
        if whole and (self.errors or len(self.told) < 2):
            self.wrong.append(f"not disturbed, and not whole: {self.calls} {self.errors}")
        disturbed = self.program in ("init", "sandbox") and self.report.hit
        for key, code in (("two" if self.pod else "one", EXIT), ("e", EXEC_EXIT)):
            if self.told.get(key, code) != code and not (disturbed and self.told[key] >= 126):
                self.wrong.append(f"the exit code of {key} is said to be {self.told[key]}")
