"""A cluster of ci/kube/cluster.sh: kubectl, its nodes as machines, and what tests wait for."""

import contextlib
import json
import os
import re

import census
from installed import package
from machine import IMAGE, SOURCE, Node, comm, run, stat_of
from waiting import until

RUNTIME_CLASS = "reaper-v2"
# the image that tests give to runc, on home-made nodes and on kind's own
RUNC_IMAGE = "reaper.test/busybox:1"
WORKERS = 2
# A web server of the node's own programs: every request is answered with the name of the pod.
WEB = r"""f=$(mktemp); cat > $f <<'END'
while read -r line && [ ${#line} -gt 1 ]; do :; done
printf 'HTTP/1.0 200 OK\r\n\r\n'
cat /etc/hostname
END
exec socat TCP-LISTEN:8080,reuseaddr,fork EXEC:"/bin/sh $f"
"""


class KindNode(Node):
    """A node that kind has made: what tests/support/machine.py's node can do, but for its making."""

    def __init__(self, name, cluster):
        self.suite = "kind"
        self.name = name
        self.cluster = cluster
        self.find()

    def create(self):
        raise AssertionError("a node of a cluster is not made anew")

    def find(self):
        """Takes note of the node's first process, which is another one after a restart."""
        self.pid = int(run(["docker", "inspect", "--format", "{{.State.Pid}}", self.name]).stdout)


class Cluster:
    """With REAPER_KUBE_CLUSTER=NAME it is one that runs already, and stays: for work on a test. One of an image of its own
    never is."""

    def __init__(self, name, workers=WORKERS, image=None):
        self.kept = "" if image else os.environ.get("REAPER_KUBE_CLUSTER", "")
        self.name = self.kept or name
        script = SOURCE / "ci" / "kube" / "cluster.sh"
        create = [script, "create", "--workers", str(workers), self.name]
        image = image or os.environ.get("REAPER_KUBE_NODE_IMAGE")
        if image:
            create[2:2] = ["--image", image]
        self.programs = run([SOURCE / "ci" / "kube" / "build.sh", "kind", "kubectl"], timeout=3600).stdout.strip()
        self.kubeconfig = run([script, "kubeconfig", self.name] if self.kept else create, timeout=900).stdout.strip()
        names = run([f"{self.programs}/kind", "get", "nodes", "--name", self.name]).stdout.split()
        self.nodes = {each: KindNode(each, self.name) for each in sorted(names)}
        # without workers the control plane is a node as any other
        self.workers = [node for each, node in self.nodes.items() if "control-plane" not in each] or list(self.nodes.values())
        self.installed = self.workers[0].path("/usr/bin/reaperctl").exists()

    def remove(self):
        if self.kept:
            return
        run([SOURCE / "ci" / "kube" / "cluster.sh", "delete", self.name], timeout=300)

    def environment(self):
        return {**os.environ, "KUBECONFIG": self.kubeconfig, "PATH": f"{self.programs}:{os.environ['PATH']}"}

    # --- kubectl --------------------------------------------------------------------------------

    def kubectl(self, *argv, check=True, **options):
        """A call that must work waits for an API server that is away: etcd goes with its node's containerd."""

        def answered():
            result = run(["kubectl", *argv], env=self.environment(), check=False, **options)
            if result.returncode == 0 or not check:
                return result
            if AWAY.search(str(result.stderr)) or ("(Forbidden)" in str(result.stderr) and not self.api_ready()):
                return None
            raise AssertionError(f"kubectl {' '.join(map(str, argv))} ended with {result.returncode}\n"
                                 f"stdout: {str(result.stdout)[-2000:]}\nstderr: {str(result.stderr)[-4000:]}")  # fmt: skip

        return until(answered, limit=180, what="the API server")

    def out(self, *argv, **options):
        return self.kubectl(*argv, **options).stdout

    def apply(self, *objects, **options):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self.kubectl("apply", "-f", "-", input=text, **options)

    def get(self, kind, name, **options):
        return json.loads(self.out("get", kind, name, "-o", "json", **options))

    def wait(self, what, condition, limit=90):
        """condition as `kubectl wait --for` takes it; what is KIND/NAME."""
        result = self.kubectl("wait", f"--for={condition}", what, f"--timeout={limit}s", check=False, timeout=limit + 60)
        assert result.returncode == 0, f"{what} is not {condition}: {result.stderr}\n{self.describe(what)}"

    def describe(self, what):
        return self.kubectl("describe", what, check=False).stdout[-4000:]

    def wait_for_api(self):
        """Until the API server answers; it does not for some seconds when its node's containerd restarts."""
        until(self.api_ready, limit=120, what="the API server")

    def api_ready(self):
        """Not as soon as it answers: a server that has just started forbids everything until it has read the roles."""
        return self.kubectl("get", "--raw=/readyz", check=False).returncode == 0

    def wait_for_add_ons(self):
        """Until all that the cluster itself runs serves.

        Where systemd manages devices on cgroup v1, it moves the first process of a pod out of the scope that runc's
        shim looks into; containerd then takes the shim for a leaked one when it restarts, and the kubelet makes the
        pod anew. When that comes often it waits up to five minutes, without kube-proxy on the node: a pod with
        another name waits for nothing.
        """
        items = json.loads(self.out("get", "pods", "--namespace", "kube-system", "-o", "json"))["items"]
        for item in items:
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"].get("conditions", []))
            if not ready and item["metadata"]["ownerReferences"][0]["kind"] != "Node":
                self.kubectl("delete", "pod", "--namespace", "kube-system", item["metadata"]["name"], "--ignore-not-found")

        def serve():
            arguments = ["--for=condition=Ready", "pods", "--all", "--namespace", "kube-system", "--timeout=60s"]
            return self.kubectl("wait", *arguments, check=False).returncode == 0

        until(serve, limit=300, what="the cluster's own pods")

    # --- pods -----------------------------------------------------------------------------------

    def phase(self, name, phase, limit=90):
        self.wait(f"pod/{name}", f"jsonpath={{.status.phase}}={phase}", limit)

    def ready(self, name, limit=90):
        self.wait(f"pod/{name}", "condition=Ready", limit)

    def status(self, name, container=None, kind="containerStatuses"):
        """The status of a container; of the only one unless it is named."""
        statuses = self.get("pod", name)["status"].get(kind, [])
        found = [s for s in statuses if container is None or s["name"] == container]
        assert len(found) == 1, f"{name}: {statuses}"
        return found[0]

    def ended(self, name, limit=90):
        """Waits for a pod that runs to its end: (exit code, its log)."""
        until_ended = "jsonpath={.status.containerStatuses[0].state.terminated}"
        self.wait(f"pod/{name}", until_ended, limit)
        return self.status(name)["state"]["terminated"]["exitCode"], self.out("logs", name)

    def exec(self, name, *command, **options):
        return self.kubectl("exec", name, "--", *command, **options)

    def events(self, name):
        items = json.loads(self.out("get", "events", "-o", "json", f"--field-selector=involvedObject.name={name}"))["items"]
        return [f"{item['reason']}: {item['message']}" for item in items]

    def node_of(self, name):
        return self.nodes[self.get("pod", name)["spec"]["nodeName"]]

    # --- Reaper on the nodes --------------------------------------------------------------------

    def install(self, *arguments, **options):
        """scripts/install-reaper.sh as a user calls it, from the top of the checkout."""
        options.setdefault("timeout", 900)
        return run([SOURCE / "scripts" / "install-reaper.sh", "--kind", self.name, *arguments],
                   env=self.environment(), cwd=SOURCE, **options)  # fmt: skip

    def ensure_installed(self):
        if not self.installed:
            self.install("--package", package())
            self.installed = True
            self.wait_for_api()
        self.kubectl("apply", "-f", SOURCE / "kubernetes" / "runtimeclass.yaml")

    def ensure_absent(self):
        """What the way back printed, if it was gone."""
        if not self.installed:
            return ""
        self.kubectl("delete", "--ignore-not-found", "-f", SOURCE / "kubernetes" / "runtimeclass.yaml")
        result = self.install("--uninstall")
        self.installed = False
        self.wait_for_api()
        return result.stdout


def container(*command, name="main", **fields):
    return {"name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": list(command), **fields}


def shell(script, name="main", **fields):
    return container("/bin/sh", "-c", script, name=name, **fields)


def pod(name, *containers, annotations=None, labels=None, **spec):
    """A host-process pod. Grace is a second, for most of the commands do not care for SIGTERM."""
    spec.setdefault("restartPolicy", "Never")
    spec.setdefault("terminationGracePeriodSeconds", 1)
    spec.setdefault("runtimeClassName", RUNTIME_CLASS)
    metadata = {"name": name, "annotations": annotations or {}, "labels": {"test": name, **(labels or {})}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": list(containers), **spec}}


def runc_pod(name, script, **spec):
    """The same command under the cluster's ordinary runtime."""
    each = {"name": "main", "image": RUNC_IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]}
    made = pod(name, each, **spec)
    del made["spec"]["runtimeClassName"]
    return made


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {f"reaper.runtime/{key}": value for key, value in labels.items()}}}  # fmt: skip


class Kube:
    """What one test makes in the cluster's default namespace; it is deleted when the test has ended."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.made = []

    def __getattr__(self, name):
        return getattr(self.cluster, name)

    def make(self, *objects):
        """Applies the objects, which are deleted at the end, the last one first."""
        self.cluster.apply(*objects)
        self.made += [(o["kind"], o["metadata"]["name"], o["metadata"].get("namespace")) for o in objects]

    def run(self, name, script, **spec):
        """A pod of one shell command to its end: (exit code, its log)."""
        self.make(pod(name, shell(script), **spec))
        return self.cluster.ended(name)

    def start(self, name, script="exec sleep infinity", **spec):
        """A pod of one shell command that goes on, when it is Ready."""
        self.make(pod(name, shell(script), **spec))
        self.cluster.ready(name)

    def close(self):
        for kind, name, namespace in reversed(self.made):
            where = ["--namespace", namespace] if namespace else []
            self.cluster.kubectl("delete", kind, name, *where, "--ignore-not-found", "--wait=false", check=False)


def init_pid(kube, name):
    """The pod's first process: its pid as the host counts, and when it was started."""
    node = kube.node_of(name)
    uid = kube.get("pod", name)["metadata"]["uid"]
    for pid in node.processes():
        try:
            group = open(f"/proc/{pid}/cgroup").read()
        except OSError:
            continue
        if (uid in group or uid.replace("-", "_") in group) and comm(pid) == "sleep":
            return pid, stat_of(pid)[2]
    raise AssertionError(f"{name} has no process")


def assert_untouched(kube, name, before):
    assert init_pid(kube, name) == before
    assert kube.status(name)["restartCount"] == 0
    assert kube.exec(name, "echo", "still here").stdout == "still here\n"


@contextlib.contextmanager
def reaper_settings(node, text):
    """The node with further settings, for a while; the next pod is started by them, no daemon has to be told."""
    conf = node.path("/etc/reaper/reaper.conf")
    before = conf.read_text()
    conf.write_text(f"{before}\n{text}\n")
    try:
        yield
    finally:
        conf.write_text(before)


def ready_again(kube, node):
    kube.kubectl("wait", "--for=condition=Ready", f"node/{node.name}", "--timeout=120s", timeout=150)


# What kubectl says of a server that does not answer, and nothing else.
AWAY = re.compile(r"connection refused|connection reset|: EOF|etcdserver: |TLS handshake timeout|http2: client connection")

# Of all that a census sees, what a pod of Reaper may leave on a node on which a kubelet works.
TRACES = re.compile(
    r"^process .*(containerd-shim-reaper|reaper-runtime|sleep infinity)"
    r"|^mount .*(/var/lib/kubelet/pods/|/run/reaper|/run/containerd/(s/|io\.containerd\.(runtime|grpc|sandbox)))"
    # not containerd's records of dead sandboxes: the kubelet collects them once a minute, from half a minute on
    r"|^run .*(/run/reaper|/run/containerd/(s/|io\.containerd\.(runtime|sandbox)))"
    r"|^cgroup .*kubepods.*pod[0-9a-f]{8}"
    r"|^work directory|^dev |^temporary file"
)
# compiled seccomp profiles, which stay
KEPT = re.compile(r"/run/reaper/(seccomp|lock)|/dev/(pts|shm)/")


# Of these what only Reaper's pods leave: the add-ons' containers are made anew when a node's daemons restart.
OURS = re.compile(r"containerd-shim-reaper|reaper-runtime|sleep infinity|/run/reaper|/reaper\.json")


def traces(node):
    """What pods have left on a node; those of the cluster's own add-ons are in it too."""
    lines = {f"{kind} {line}" for kind, lines in census.take(node).items() for line in lines}
    return {line for line in lines if TRACES.search(line) and not KEPT.search(line)}


def left_behind(node, before, only_ours=False, limit=60):
    """Waits until nothing is on the node that was not there before; returns what stays."""
    left = []

    def clean():
        census.collect_groups(node)
        left[:] = sorted(line for line in traces(node) - before if not only_ours or OURS.search(line))
        return not left

    with contextlib.suppress(AssertionError):
        until(clean, limit=limit)
    return left
