"""A node at its limits and at its end: full of pods, of files, without disk, shutting down; and what it tells of its pods."""

import contextlib
import json
import re

import pytest
import yaml

from kube_cluster import assert_untouched, init_pid, pod, reaper_settings, ready_again, shell
from machine import IMAGE, import_image, run
from waiting import until

pytestmark = pytest.mark.full("each takes a minute or more, and some restart a node's kubelet or the node")
ADD_ONS_RESTART = True

KUBELET = "/var/lib/kubelet/config.yaml"
PODS_PER_NODE = 110


@contextlib.contextmanager
def kubelet(kube, node, **settings):
    """The kubelet of a node with other settings, for a while."""
    before = node.path(KUBELET).read_text()

    def restart(text):
        node.path(KUBELET).write_text(text)
        node.run("systemctl", "restart", "kubelet")

    restart(yaml.safe_dump({**yaml.safe_load(before), **settings}))
    try:
        yield
    finally:
        restart(before)
        ready_again(kube, node)


def condition(kube, node, kind):
    return next(each["status"] for each in kube.get("node", node.name)["status"]["conditions"] if each["type"] == kind)


def pods_of(kube, node):
    selector = f"--field-selector=spec.nodeName={node.name}"
    items = json.loads(kube.out("get", "pods", "--all-namespaces", selector, "-o", "json"))["items"]
    return [item for item in items if item["status"].get("phase") not in ("Succeeded", "Failed")]


# --- full of pods -------------------------------------------------------------------------------


@pytest.fixture
def crowd(kube):
    """crowd(NODE) fills a node with pods, and gives their names; they are deleted at once and not one by one."""

    def fill(node):
        names = [f"crowd-{number}" for number in range(PODS_PER_NODE - len(pods_of(kube, node)))]
        kube.apply(*(pod(name, shell(f"echo {name}; exec sleep infinity"), nodeName=node.name, labels={"app": "crowd"}) for name in names))
        return names

    yield fill
    kube.kubectl("delete", "pods", "-l", "app=crowd", "--wait=false", timeout=300)


def test_a_node_full_of_pods(kube, crowd):
    """As many as a kubelet takes: each runs, answers, and leaves nothing; the next one is the kubelet's to refuse."""
    node = kube.workers[0]
    names = crowd(node)
    assert len(names) > 100

    def phases():
        items = json.loads(kube.out("get", "pods", "-l", "app=crowd", "-o", "json"))["items"]
        return [item["status"]["phase"] for item in items]

    until(lambda: phases() == ["Running"] * len(names), limit=1200, what="all pods")
    kube.make(pod("one-too-many", shell("true"), nodeName=node.name))
    kube.phase("one-too-many", "Failed")
    assert kube.get("pod", "one-too-many")["status"]["reason"] == "OutOfpods"
    for name in names[::20]:
        assert kube.out("logs", name) == f"{name}\n"
        assert kube.exec(name, "cat", "/etc/hostname").stdout == f"{name}\n"
        assert kube.status(name)["restartCount"] == 0
    # as the node's own administrator sees them
    listed = json.loads(node.reaperctl("ps", "--json").stdout)["containers"]
    assert len([each for each in listed if re.search(r"crowd-\d", json.dumps(each))]) == len(names)
    kube.kubectl("delete", "pods", "-l", "app=crowd", "--wait=false", timeout=300)
    until(lambda: phases() == [], limit=900, what="the end of all pods")
    until(lambda: node.run("pgrep", "-fc", "containerd-shim-reaper-v[2]", check=False).stdout == "0\n", what="the end of their shims")


# --- full of files ------------------------------------------------------------------------------


def test_a_run_that_is_full_costs_no_pod_that_runs(kube):
    """systemd, containerd and the shims keep in /run what they know, and the first that finds no room for a new pod says so
    in an event. The pod starts when there is room again."""
    node = kube.workers[0]
    kube.start("was-there", "echo before; exec sleep infinity", nodeName=node.name)
    before = init_pid(kube, "was-there")
    size = node.run("findmnt", "--noheadings", "--bytes", "--output", "SIZE", "/run").stdout.strip()
    used = int(node.run("df", "--output=used", "--block-size=1", "/run").stdout.split()[-1])
    node.run("mount", "-o", f"remount,size={used + (64 << 10)}", "/run")
    try:
        filled = node.run("sh", "-c", "cat /dev/zero >/run/reaper-test-full", check=False)
        assert "No space left" in filled.stderr
        kube.make(pod("no-room", shell("echo room again"), nodeName=node.name))
        until(lambda: [each for each in kube.events("no-room") if each.startswith("FailedCreatePod")], limit=180, what="the failure in an event")
        assert init_pid(kube, "was-there") == before
        assert kube.out("logs", "was-there") == "before\n"
    finally:
        node.run("rm", "-f", "/run/reaper-test-full")
        node.run("mount", "-o", f"remount,size={size}", "/run")
    assert kube.ended("no-room", limit=180) == (0, "room again\n")
    assert_untouched(kube, "was-there", before)


def test_disk_pressure_evicts_pods_and_keeps_the_image(kube):
    """The kubelet is told that 99 % of the disk have to be free. It then deletes each image that nobody uses and is not
    pinned; a node that lost Reaper's would start no pod any more."""
    node = kube.workers[0]
    ctr = ("ctr", "--namespace", "k8s.io", "images")
    unused = "reaper.test/unused:1"
    names = [name for name in node.run(*ctr, "list", "--quiet").stdout.split() if name != IMAGE]
    # what other tests want is kept, and one image is there to be taken
    labelled = [name for name in names if not name.startswith("sha256:")]
    for name in names:
        node.run(*ctr, "label", name, "io.cri-containerd.pinned=pinned")
    import_image(node, unused)
    try:
        kube.start("evicted", "exec sleep 86341", nodeName=node.name)
        with kubelet(kube, node, evictionHard={"nodefs.available": "99%"}, evictionPressureTransitionPeriod="1s", imageMinimumGCAge="1s"):
            until(lambda: condition(kube, node, "DiskPressure") == "True", limit=180, what="the condition DiskPressure")
            kube.phase("evicted", "Failed", limit=240)
            status = kube.get("pod", "evicted")["status"]
            # by the eviction manager, or when the kubelet that has just been started looks at its pods again
            assert status["reason"] == "Evicted" and re.search("ephemeral-storage|DiskPressure", status["message"])
            until(lambda: node.run("pgrep", "-fx", "sleep 86341", check=False).stdout == "", what="the end of its command")
            kube.make(pod("kept-out", shell("true"), nodeName=node.name))
            kube.phase("kept-out", "Failed")
            assert "DiskPressure" in kube.get("pod", "kept-out")["status"]["message"]
            until(lambda: unused not in node.run(*ctr, "list", "--quiet").stdout, limit=120, what="the end of an image that nobody uses")
        until(lambda: condition(kube, node, "DiskPressure") == "False", limit=180, what="the end of DiskPressure")
        assert IMAGE in node.run(*ctr, "list", "--quiet").stdout
        assert kube.run("after-pressure", "echo works", nodeName=node.name) == (0, "works\n")
    finally:
        for name in names:
            node.run(*ctr, "label", name, "io.cri-containerd.pinned=", check=False)
        node.run(*ctr, "rm", unused, check=False)
    assert set(labelled) <= set(node.run(*ctr, "list", "--quiet").stdout.split())


def containers_of(kube, node, name):
    """What the kubelet's stats/summary says of the containers of a pod."""
    pods = json.loads(kube.out("get", "--raw", f"/api/v1/nodes/{node.name}/proxy/stats/summary"))["pods"]
    return next((each.get("containers") or [] for each in pods if each["podRef"]["name"] == name), [])


def test_ephemeral_storage_of_a_pod_of_its_own_scope(kube):
    """Volumes, logs and what is written over the host are counted against the limit, and the pod is evicted. What has a
    size of its own is memory, in the pod's figures as such, and ends there."""
    node = kube.workers[0]
    limit = {"limits": {"ephemeral-storage": "4Mi"}}
    mounts = [{"name": "w", "mountPath": "/w"}]
    fill = "head -c 16M /dev/zero >/var/tmp/fill; stat -c %s /var/tmp/fill; exec sleep infinity"
    with reaper_settings(node, "REAPER_OVERLAY_ISOLATION=pod"):
        kube.make(pod("fills-view", shell(fill, resources=limit), nodeName=node.name, annotations={"reaper.runtime/upper-size": "8M"}))
        kube.ready("fills-view")
        size = int(until(lambda: kube.out("logs", "fills-view"), what="the size of the file").split()[-1])
        assert 4 << 20 < size <= 8 << 20
        kube.make(
            pod("fills-layer", shell("head -c 8M /dev/zero >/var/tmp/fill; exec sleep infinity", resources=limit), nodeName=node.name),
            pod("fills-volume", shell("head -c 8M /dev/zero >/w/fill; exec sleep infinity", resources=limit, volumeMounts=mounts),
                volumes=[{"name": "w", "emptyDir": {}}], nodeName=node.name),
            # the log is turned over at 1 MiB, and three are kept
            pod("fills-log", shell("seq -w 1 400000; exec sleep infinity", resources={"limits": {"ephemeral-storage": "1Mi"}}),
                nodeName=node.name),
        )  # fmt: skip
        # all pods of a node are judged at once: the one that was there first has been, when the others are evicted
        for name in ("fills-layer", "fills-volume", "fills-log"):
            kube.phase(name, "Failed", limit=300)
            status = kube.get("pod", name)["status"]
            assert status["reason"] == "Evicted" and "ephemeral" in status["message"], status
        assert kube.get("pod", "fills-view")["status"]["phase"] == "Running"
        groups = json.loads(node.reaperctl("overlay", "list", "--json").stdout)
        (used,) = [each["used_bytes"] for each in groups.values() if each["pods"] == ["default/fills-view"]]
        assert size <= used <= 8 << 20
        (told,) = containers_of(kube, node, "fills-view")
        assert told.get("rootfs", {}).get("usedBytes", 0) < 1 << 20
        assert told["memory"]["workingSetBytes"] > size


# --- what it tells ------------------------------------------------------------------------------


def test_the_metrics_that_kubectl_top_and_autoscalers_read(kube):
    """metrics-server asks each kubelet for /metrics/resource, and adds nothing to it."""
    node = kube.workers[0]
    work = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; echo worked; exec sleep infinity"
    kube.make(pod("measured", shell(f"head -c 16M /dev/zero >/dev/shm/x; {work}"), shell("exec sleep infinity", name="idle"), nodeName=node.name))
    kube.ready("measured")
    until(lambda: kube.out("logs", "measured", "-c", "main") == "worked\n", limit=120, what="the end of the work")

    def metrics():
        text = kube.out("get", "--raw", f"/api/v1/nodes/{node.name}/proxy/metrics/resource")
        found = {}
        for name, labels, value in re.findall(r"^(\w+)\{(.*)\} (\S+)", text, re.MULTILINE):
            fields = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if fields.get("pod") == "measured":
                found[name, fields.get("container")] = float(value)
        return found

    memory, pods_memory = "container_memory_working_set_bytes", "pod_memory_working_set_bytes"

    def told():
        """The kubelet reads each cgroup by a clock of its own, the pod's above those of both containers last of all."""
        found = metrics()
        if found.get((memory, "main"), 0) > 16 << 20 and (memory, "idle") in found and found.get((pods_memory, None), 0) > 16 << 20:
            return found
        return None

    found = until(told, limit=180, what="the figures")
    assert found[memory, "main"] < 256 << 20
    assert found[memory, "idle"] < 16 << 20
    seconds = "container_cpu_usage_seconds_total"
    assert found[seconds, "main"] > max(0.01, found[seconds, "idle"])
    assert found["pod_cpu_usage_seconds_total", None] > 0.01


# --- its end ------------------------------------------------------------------------------------


def ending(name, **spec):
    """A pod that writes down when it is told to end, and when it has cleaned up."""
    script = (f"trap 'echo {name} is told >>/w/order; sleep 3; echo {name} ends >>/w/order; exit 5' TERM; "
              "while :; do sleep 1 & wait $!; done")  # fmt: skip
    return pod(name, shell(script, volumeMounts=[{"name": "w", "mountPath": "/w"}]), terminationGracePeriodSeconds=30,
               volumes=[{"name": "w", "hostPath": {"path": "/var/lib/reaper-kube-order", "type": "DirectoryOrCreate"}}], **spec)  # fmt: skip


def test_a_node_that_shuts_down_ends_its_pods_in_order(kube):
    """logind holds the shutdown until the kubelet has ended ordinary pods, and critical ones after them."""
    node = kube.workers[1]
    node.run("systemctl", "start", "dbus", "systemd-logind")
    kube.make(ending("ordinary", nodeName=node.name), ending("critical", nodeName=node.name, priorityClassName="system-node-critical"))
    with kubelet(kube, node, shutdownGracePeriod="60s", shutdownGracePeriodCriticalPods="30s"):
        until(lambda: "kubelet" in node.run("systemd-inhibit", "--list", "--no-pager", "--no-legend").stdout, limit=120,
              what="the kubelet's inhibitor")  # fmt: skip
        for name in ("ordinary", "critical"):
            kube.ready(name)
        node.run("systemctl", "poweroff", check=False)
        run(["docker", "wait", node.name], timeout=300)
        run(["docker", "start", node.name])
        node.find()
        until(lambda: node.run("systemctl", "is-active", "kubelet", check=False).stdout.strip() == "active", limit=120, what="the kubelet")
        node.run("rm", "-f", "/etc/systemd/logind.conf.d/99-kubelet.conf")
    order = node.path("/var/lib/reaper-kube-order/order").read_text().splitlines()
    node.run("rm", "-r", "/var/lib/reaper-kube-order")
    assert order == ["ordinary is told", "ordinary ends", "critical is told", "critical ends"]
    for name in ("ordinary", "critical"):
        kube.phase(name, "Failed")
        assert kube.status(name)["state"]["terminated"]["exitCode"] == 5
        disrupted = [each for each in kube.get("pod", name)["status"]["conditions"] if each["type"] == "DisruptionTarget"]
        assert [(each["status"], each["reason"]) for each in disrupted] == [("True", "TerminationByKubelet")]
    assert kube.run("after-shutdown", "echo works", nodeName=node.name) == (0, "works\n")
