"""The machines that tests run containers on: a node container, or the host itself.

Both answer the same calls, so a test does not know where it runs. A node container has no python
and no test code in it: commands enter through its namespaces, files are read through
/proc/PID/root.
"""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from cri import Cri, CriError
from trees import mounts_below, remove_tree
from waiting import until

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BINARIES = pathlib.Path(os.environ.get("REAPER_BINARIES", SOURCE / "build"))
PROGRAMS = ["containerd-shim-reaper-v2", "reaper-runtime", "reaperctl"]
# for work on the harness itself: another runtime under the same tests
RUNTIME = os.environ.get("REAPER_TEST_RUNTIME", "io.containerd.reaper.v2")
HANDLER = "reaper-v2"
# what pods name as their image: it has no layers, and reaperctl imports it in production
IMAGE = "reaper.local/host:1"

# containerd 1.6 to 2.1 all read a version 2 file with these names; the first runtime in a file
# replaces the built-in list, so runc has to be named again
STANZA = f"""
version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{HANDLER}]
  runtime_type = "{RUNTIME}"
  pod_annotations = ["reaper.runtime/*"]
  container_annotations = ["reaper.runtime/*"]
"""

# the same runtime with its own Sandbox service in place of a pause container (containerd 2.x)
SANDBOXER = f"""
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{HANDLER}-shim]
  runtime_type = "{RUNTIME}"
  sandbox_mode = "shim"
"""

CONFLIST = """{
  "cniVersion": "0.4.0", "name": "reaper-test",
  "plugins": [{"type": "bridge", "bridge": "reaper-test0", "isGateway": true,
               "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.87.0.0/24"}]]}}]
}
"""


def run(argv, check=True, timeout=120, **options):
    """subprocess.run with text, captured output and an error that shows both streams."""
    options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
    if options["stdin"] is None:
        del options["stdin"]
    options.setdefault("text", True)
    if "stdout" not in options:
        options["stdout"] = subprocess.PIPE
    if "stderr" not in options:
        options["stderr"] = subprocess.PIPE
    result = subprocess.run([str(a) for a in argv], timeout=timeout, **options)
    if check and result.returncode != 0:
        raise AssertionError(
            f"{' '.join(map(str, argv))} ended with {result.returncode}\n"
            f"stdout: {str(result.stdout)[-2000:]}\nstderr: {str(result.stderr)[-4000:]}"
        )
    return result


class Machine:
    """What both kinds share. Paths in calls are the machine's own."""

    name = ""
    kind = ""  # "node" or "host"
    state = "/run/containerd"
    data = "/var/lib/containerd"
    socket = "/run/containerd/containerd.sock"

    def path(self, path):
        """A path of the machine as this process reaches it."""
        raise NotImplementedError

    def argv(self, argv):
        """The command that runs argv on the machine."""
        raise NotImplementedError

    def environment(self):
        return None

    def run(self, *argv, **options):
        return run(self.argv(argv), env=self.environment(), **options)

    def popen(self, *argv, **options):
        return subprocess.Popen(
            [str(a) for a in self.argv(argv)], env=self.environment(), **options
        )

    def ctr(self, *argv, **options):
        return self.run("ctr", "--address", self.socket, *argv, **options)

    def ctr_run(self, name, *command, flags=(), **options):
        """`ctr run` of our runtime with an empty directory as root file system."""
        return self.ctr("run", *flags, "--runtime", RUNTIME, "--rootfs", self.empty, name, *command, **options)

    def cri(self):
        return Cri(f"unix://{self.path(self.socket)}")

    def wait_for_cri(self):
        """Until the CRI plugin answers. It says so itself while it is still starting, and a daemon that is started
        again by two (systemd and the test) drops the connection once."""

        def answers():
            try:
                cri.call("Version", deadline=30)
            except CriError as error:
                if "not initialized" in error.details or error.code == "UNAVAILABLE":
                    return False
                raise
            return True

        with self.cri() as cri:
            until(answers)

    def reaperctl(self, *argv, **options):
        return self.run("reaperctl", *argv, **options)

    def bundle(self, name, namespace="default"):
        return f"{self.state}/io.containerd.runtime.v2.task/{namespace}/{name}"

    def shims(self):
        """Pids of the shims, as the host counts them."""
        return [p for p in self.processes() if "shim" in comm(p) and not is_zombie(p)]

    def processes(self):
        """All pids of the machine as the host counts them, but for its own machinery."""
        return sorted(descendants(self.ancestor()))

    def ancestor(self):
        raise NotImplementedError

    def containerd_pid(self):
        pids = [p for p in self.processes() if comm(p) == "containerd"]
        if len(pids) != 1:
            raise AssertionError(f"{self.name}: {len(pids)} processes are called containerd")
        return pids[0]

    def kill_containerd(self):
        """The daemon dies without a word and is started again, as after a crash."""
        pid = self.containerd_pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: is_zombie(pid), what="containerd's end")
        self.start_containerd()

    def make_empty(self):
        self.empty = "/var/lib/reaper-test-empty"
        self.path(self.empty).mkdir(parents=True, exist_ok=True)


def comm(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def stat_of(pid):
    """(state, parent, start time) or None."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[1]), fields[19]


def is_zombie(pid):
    """Ended, and not yet asked for by its parent; on the host that is this process."""
    stat = stat_of(pid)
    return stat is None or stat[0] == "Z"


def descendants(ancestor):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = stat_of(entry)
            if stat:
                children.setdefault(stat[1], []).append(int(entry))
    found, open_pids = set(), [ancestor]
    while open_pids:
        for child in children.get(open_pids.pop(), []):
            found.add(child)
            open_pids.append(child)
    return found


def import_image(machine, name):
    image = run([SOURCE / "ci" / "node" / "pause-image.sh", name], text=False).stdout
    machine.ctr("--namespace", "k8s.io", "images", "import", "--no-unpack", "-", input=image, text=False)


class Node(Machine):
    """A node container of ci/node.sh, with the three programs in /usr/local/bin."""

    kind = "node"

    def __init__(self, suite, name, cluster="reaper-test", install=True, prepare=True, image=None):
        self.suite = suite
        self.image = image  # else the suite's own
        self.name = name
        self.cluster = cluster
        self.install = install
        self.prepare = prepare
        self.create()

    def script(self, *argv, **options):
        return run([SOURCE / "ci" / "node.sh", *argv], **options)

    def create(self):
        maker = ["rpm-node-image.sh"] if self.suite == "rpm" else ["node-image.sh", self.suite]
        image = self.image or run([SOURCE / "ci" / maker[0], *maker[1:]], timeout=900).stdout.strip()
        self.script("delete", self.name)
        self.script("create", "--image", image, "--cluster", self.cluster, self.name, timeout=300)
        self.pid = int(run(["docker", "inspect", "--format", "{{.State.Pid}}", self.name]).stdout)
        self.make_empty()
        if self.install:
            for program in PROGRAMS:
                if (BINARIES / program).exists():
                    shutil.copy2(BINARIES / program, self.path("/usr/local/bin/"))
        if self.prepare:
            self.configure()
        if "runc" in RUNTIME:
            # runc needs a root file system; ours takes the machine's
            self.run("mount", "--rbind", "/", self.empty)

    def configure(self):
        """A runtime handler and a pod network, written by hand: reaperctl has its own tests."""
        config = self.path("/etc/containerd/config.toml")
        text = config.read_text()
        text += STANZA.replace("version = 2\n", "")
        config.write_text(text + (SANDBOXER if self.suite == "forky" else ""))
        conflist = self.path("/etc/cni/net.d/10-reaper-test.conflist")
        conflist.parent.mkdir(parents=True, exist_ok=True)
        conflist.write_text(CONFLIST)
        self.restart_containerd()
        import_image(self, IMAGE)
        # what iptables and CNI make at their first use is not a leak of the first test
        self.run("sh", "-c", "mkdir -p /run/netns /run/containerd/fifo /run/containerd/s "
                 "/run/containerd/io.containerd.sandbox.controller.v1.shim/k8s.io && touch /run/xtables.lock")  # fmt: skip

    def rebuild(self):
        self.create()

    def remove(self):
        self.script("delete", self.name)

    def path(self, path):
        return pathlib.Path(f"/proc/{self.pid}/root") / str(path).lstrip("/")

    def argv(self, argv):
        return [
            "nsenter", "--target", self.pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
            "--root", "--wdns=/", "--", *argv,
        ]  # fmt: skip

    def environment(self):
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "TERM": "xterm",
        }

    def ancestor(self):
        return self.pid

    def mounts_pid(self):
        return self.pid

    def restart_containerd(self):
        self.run("systemctl", "restart", "containerd", timeout=60)
        self.wait_for_cri()

    def stop_containerd(self):
        self.run("systemctl", "stop", "containerd", timeout=60)

    def start_containerd(self):
        # systemd counts starts, and refuses the sixth within ten seconds
        self.run("systemctl", "reset-failed", "containerd", check=False)
        self.run("systemctl", "start", "containerd", timeout=60)
        self.wait_for_cri()


class Bare(Machine):
    """This machine without a daemon.

    This process becomes the reaper of orphans, so that every shim and workload stays its
    descendant and can be told from what else runs on the machine.
    """

    kind = "host"
    name = "host"

    def __init__(self):
        PR_SET_CHILD_SUBREAPER = 36
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for directory in ("/run/containerd/fifo", "/run/containerd/s", "/run/netns"):
            pathlib.Path(directory).mkdir(parents=True, exist_ok=True)

    def containerd_pid(self):
        """The process whose mount namespace shims are started in."""
        return os.getpid()

    def path(self, path):
        return pathlib.Path(path)

    def argv(self, argv):
        return list(argv)

    def environment(self):
        env = dict(os.environ)
        env["PATH"] = f"{BINARIES}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        env.pop("TTRPC_ADDRESS", None)
        return env

    def ancestor(self):
        return os.getpid()

    def mounts_pid(self):
        return os.getpid()

    def rebuild(self):
        """Ends what a failed test has left behind. Files are left to be seen."""
        for pid in self.processes():
            if comm(pid) != "containerd":
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


class Host(Bare):
    """This machine, with its distribution's containerd run beside any other, on state of its own."""

    def __init__(self):
        super().__init__()
        self.daemon = None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/run"))
        self.state = str(self.directory / "state")
        self.data = tempfile.mkdtemp(prefix="reaper-test-", dir="/var/lib")
        self.socket = str(self.directory / "containerd.sock")
        self.config = self.directory / "config.toml"
        self.config.write_text(
            STANZA
            + f"""
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.directory}/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "{self.data}/opt"
"""
        )
        self.make_empty()
        self.start_containerd()
        self.import_images()

    def make_empty(self):
        self.empty = f"{self.data}/empty"
        pathlib.Path(self.empty).mkdir(exist_ok=True)

    def import_images(self):
        dump = self.run("containerd", "--config", self.config, "config", "dump").stdout
        names = [
            line.split("=")[1].strip(" \"'")
            for line in dump.splitlines()
            if line.strip().startswith(("sandbox_image =", "sandbox ="))
        ]
        import_image(self, names[0])
        import_image(self, IMAGE)

    def start_containerd(self):
        with open(self.directory / "containerd.log", "a") as log:
            self.daemon = subprocess.Popen(
                ["containerd", "--config", self.config, "--root", self.data, "--state", self.state,
                 "--address", self.socket],
                env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.wait_for_cri()

    def stop_containerd(self, how=signal.SIGTERM):
        self.daemon.send_signal(how)
        self.daemon.wait(30)

    def restart_containerd(self):
        self.stop_containerd()
        self.start_containerd()

    def kill_containerd(self):
        self.stop_containerd(signal.SIGKILL)
        self.start_containerd()

    def containerd_pid(self):
        return self.daemon.pid

    def remove(self):
        self.rebuild()
        self.stop_containerd()
        for directory in (self.directory, self.data):
            # what a failed test has left
            for point in reversed(mounts_below(directory)):
                run(["umount", "-l", point])
            remove_tree(directory)
