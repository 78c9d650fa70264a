"""The prototype's tests of its agent and its custom resources, under their names.

There is no agent, no controller and no resource of our own here: what they did is done by kubectl with Kubernetes' own
resources, by reaperctl on the node, and by install-reaper.sh. Each test does what a user of the prototype wanted.
"""

import contextlib
import json
import os
import pathlib
import re
import signal

import pytest

from kube_cluster import assert_untouched, init_pid, pod, ready_again, shell
from machine import SOURCE, comm, stat_of
from waiting import until

pytestmark = pytest.mark.full("what operators of the prototype rely on; two minutes")
ADD_ONS_RESTART = True

# mission-anchors 2.3: all that its suite on a cluster had
NAMES = """
dns_resolution kubernetes_dns_resolution echo_command overlay_sharing namespace_overlay_isolation overlay_name_isolation
host_protection no_defunct_processes shim_cleanup_after_delete uid_gid_switching privilege_drop configmap_volume hostpath_volume
secret_volume emptydir_volume volume_rerun exec_support sigterm_delivery working_directory large_output exec_exit_code
concurrent_pods process_group_kill stderr_capture env_vars command_not_found nonzero_exit_code rapid_create_delete
exec_nonexistent_binary config_file_on_node readonly_volume_rejection dns_mode_annotation_override combined_annotations
invalid_annotation_graceful_fallback unknown_annotations_ignored
agent_deployment agent_config_sync agent_healthz agent_metrics agent_stale_gc agent_overlay_gc_basic
agent_overlay_gc_preserves_active agent_overlay_gc_named_groups agent_overlay_gc_skips_running_containers
agent_overlay_gc_metrics agent_ns_cleanup_stale_file agent_ns_cleanup_preserves_active agent_ns_cleanup_metrics
agent_node_condition_set agent_node_condition_reflects_health agent_node_condition_metrics
agent_job_submit agent_job_status_poll agent_job_failed_exit_code agent_job_terminate agent_job_not_found agent_job_env_vars
agent_job_hostfile_written agent_job_working_dir
controller_crd_install controller_deployment controller_simple_reaperpod controller_status_mirroring controller_exit_code
controller_reaperpod_annotations controller_gc_on_delete controller_kubectl_get_columns
overlay_crd_install overlay_crd_create_and_status overlay_crd_kubectl_get_columns overlay_crd_pvc_blocking
overlay_crd_reset_generation overlay_crd_delete_cleanup
daemon_job_crd_install daemon_job_simple daemon_job_status_tracking daemon_job_node_statuses daemon_job_kubectl_columns
daemon_job_dependency_ordering daemon_job_gc_on_delete
""".split()


def test_each_of_the_eighty_has_a_test():
    here = pathlib.Path(__file__)
    texts = [path.read_text() for path in (here, here.with_name("test_parity.py"))]
    tests = {name for text in texts for name in re.findall(r'^(?:def test_|    words\(")(\w+)', text, re.MULTILINE)}
    assert len(NAMES) == len(set(NAMES)) == 80
    assert set(NAMES) - tests == set()


# --- what its agent did -------------------------------------------------------------------------

WRITES, READS = "echo kept >/var/tmp/reaper-parity", "cat /var/tmp/reaper-parity 2>/dev/null || echo nothing"


def grouped(name, group, script, node):
    return pod(name, shell(script), nodeName=node.name, annotations={"reaper.runtime/overlay-name": group})


def groups(node):
    return json.loads(node.reaperctl("overlay", "list", "--json").stdout)


def used(kube, node, group, script=WRITES):
    """A group that a pod has used, and no pod uses any more."""
    name = f"used-{group}"
    kube.make(grouped(name, group, script, node))
    assert kube.ended(name)[0] == 0
    kube.kubectl("delete", "pod", name)
    assert f"node.{group}" in groups(node)


def metric(node, name, **labels):
    """The value, or None where the metric is not told."""
    for found, its, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", node.reaperctl("metrics").stdout, re.MULTILINE):
        if found == name and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', its)).items():
            return float(value)
    return None


def ours(node):
    """Processes of programs of ours; the names of test nodes have our name in their arguments."""
    return [line for line in node.run("ps", "-eo", "args=").stdout.splitlines()
            if re.match(r"\S*/?(containerd-shim-reaper|reaper-runtime|reaperctl)", line)]  # fmt: skip


def test_agent_deployment(kube):
    """There is none to deploy: nothing of ours runs on a node without pods."""
    for node in kube.nodes.values():
        until(lambda: ours(node) == [], limit=60, what=f"no process of ours on {node.name}")


def test_agent_config_sync(kube):
    """A ConfigMap becomes a node's settings by a pod that has just that directory."""
    node = kube.workers[0]
    conf = node.path("/etc/reaper/reaper.conf")
    before = conf.read_text()
    mounts = [{"name": "new", "mountPath": "/new"}, {"name": "node", "mountPath": "/etc/reaper"}]
    kube.make(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "reaper-conf"},
         "data": {"reaper.conf": f"{before}\nREAPER_HOST_NAMESPACES=uts\n"}},
        pod("sync", shell("cat /new/reaper.conf >/etc/reaper/reaper.conf", volumeMounts=mounts), nodeName=node.name,
            volumes=[{"name": "new", "configMap": {"name": "reaper-conf"}},
                     {"name": "node", "hostPath": {"path": "/etc/reaper", "type": "Directory"}}]))  # fmt: skip
    try:
        assert kube.ended("sync") == (0, "")
        code, text = kube.run("synced", "readlink /proc/self/ns/uts", nodeName=node.name)
        assert (code, text.strip()) == (0, node.run("readlink", "/proc/1/ns/uts").stdout.strip())
    finally:
        conf.write_text(before)


def test_agent_healthz(kube):
    for node in kube.nodes.values():
        told = json.loads(node.reaperctl("doctor", "--task", "--json").stdout)
        assert told["result"] == "passed" and {each["result"] for each in told["checks"].values()} == {"passed"}, told


def test_agent_metrics(kube):
    node = kube.workers[0]
    before = metric(node, "reaper_containers", status="running") or 0
    starts = metric(node, "reaper_starts_total")
    kube.start("measured", nodeName=node.name)
    assert metric(node, "reaper_containers", status="running") == before + 1
    assert metric(node, "reaper_starts_total") == starts + 1
    assert metric(node, "reaper_shim_memory_bytes") > 0


def test_agent_stale_gc(kube):
    """What a killed shim leaves while containerd is away is gone with its pod."""
    node = kube.workers[0]
    kube.start("stale", "exec sleep 86361", nodeName=node.name)
    uid = kube.get("pod", "stale")["metadata"]["uid"]
    workload, _ = init_pid(kube, "stale")
    shim = stat_of(workload)[1]
    assert "shim-reaper" in comm(shim)
    node.stop_containerd()
    try:
        os.kill(shim, signal.SIGKILL)
    finally:
        node.start_containerd()
    ready_again(kube, node)
    kube.kubectl("delete", "pod", "stale", timeout=180)
    until(lambda: node.run("pgrep", "-fx", "sleep 86361", check=False).stdout == "", what="the end of its command")
    until(lambda: uid not in node.reaperctl("ps", "--json").stdout, what="the end of its state")


def test_agent_overlay_gc_basic(kube):
    node = kube.workers[0]
    used(kube, node, "parity-basic")
    node.reaperctl("overlay", "gc")
    assert "node.parity-basic" not in groups(node)
    kube.make(grouped("basic-again", "parity-basic", READS, node))
    assert kube.ended("basic-again") == (0, "nothing\n")


@contextlib.contextmanager
def active(kube, node, group):
    name = f"active-{group}"
    kube.make(grouped(name, group, f"{WRITES}; exec sleep infinity", node))
    kube.ready(name)
    before = init_pid(kube, name)
    yield name
    assert_untouched(kube, name, before)
    assert kube.exec(name, "cat", "/var/tmp/reaper-parity").stdout == "kept\n"


def test_agent_overlay_gc_preserves_active(kube):
    node = kube.workers[0]
    with active(kube, node, "parity-kept"):
        node.reaperctl("overlay", "gc")
        assert groups(node)["node.parity-kept"]["pods"] == ["default/active-parity-kept"]
        # and the group still is the one that it was
        kube.make(grouped("joins", "parity-kept", READS, node))
        assert kube.ended("joins") == (0, "kept\n")


def test_agent_overlay_gc_named_groups(kube):
    node = kube.workers[0]
    used(kube, node, "parity-one")
    used(kube, node, "parity-two")
    with active(kube, node, "parity-three"):
        node.reaperctl("overlay", "gc")
        assert groups(node).keys() & {"node.parity-one", "node.parity-two", "node.parity-three"} == {"node.parity-three"}


def test_agent_overlay_gc_skips_running_containers(kube):
    """Told to take all, it says what is in use, fails, and takes none of it."""
    node = kube.workers[0]
    with active(kube, node, "parity-busy"):
        told = node.reaperctl("overlay", "gc", "--all", check=False)
        assert told.returncode == 1 and "parity-busy" in told.stdout + told.stderr
        assert "node.parity-busy" in groups(node)


def test_agent_overlay_gc_metrics(kube):
    node = kube.workers[0]
    used(kube, node, "parity-told", "head -c 1M /dev/zero >/var/tmp/reaper-parity")
    assert metric(node, "reaper_upper_used_bytes", group="node.parity-told") >= 1 << 20
    node.reaperctl("overlay", "gc")
    assert metric(node, "reaper_upper_used_bytes", group="node.parity-told") is None


def test_agent_ns_cleanup_stale_file(kube):
    """A pin that a crash has left, of a group that is not there."""
    node = kube.workers[0]
    kube.start("has-a-group", nodeName=node.name)
    stale = node.path("/run/reaper/ns/node.parity-stale")
    stale.touch()
    node.reaperctl("overlay", "gc")
    assert not stale.exists()


def test_agent_ns_cleanup_preserves_active(kube):
    node = kube.workers[0]
    with active(kube, node, "parity-pin"):
        pin = node.path("/run/reaper/ns/node.parity-pin")
        before = pin.stat().st_ino
        node.reaperctl("overlay", "gc")
        assert pin.stat().st_ino == before


def test_agent_ns_cleanup_metrics(kube):
    """Each group that is listed is told, and no other."""
    node = kube.workers[0]
    with active(kube, node, "parity-counted"):
        told = set(re.findall(r'^reaper_upper_used_bytes\{.*group="([^"]*)"', node.reaperctl("metrics").stdout, re.MULTILINE))
        assert "node.parity-counted" in told
        assert told == set(groups(node))


def test_agent_node_condition_set(kube):
    ready = kube.out("get", "nodes", "-l", "reaper.runtime/ready=true", "-o", "name").split()
    assert sorted(ready) == sorted(f"node/{name}" for name in kube.nodes)


@contextlib.contextmanager
def broken(node):
    """The node without the shim."""
    shim = pathlib.PurePath("/usr/bin/containerd-shim-reaper-v2")
    node.run("mv", shim, "/root/away")
    try:
        yield
    finally:
        node.run("mv", "/root/away", shim)


def test_agent_node_condition_reflects_health(kube):
    """The node itself says so, and so does who asks for all of them."""
    node = kube.workers[0]
    with broken(node):
        told = node.reaperctl("doctor", "--json", check=False)
        assert told.returncode != 0 and '"shim-found"' in told.stdout
        asked = kube.install("--verify", check=False)
        assert asked.returncode != 0
        (failed,) = [line for line in asked.stderr.splitlines() if f" {node.name}: " in line and "error" in line]
        assert "shim" in failed
    assert node.reaperctl("doctor").returncode == 0
    kube.install("--verify")


def test_agent_node_condition_metrics(kube):
    for node in kube.nodes.values():
        version = node.reaperctl("--version").stdout.split()[1]
        assert metric(node, "reaper_build_info", version=version) == 1


# --- its jobs: Kubernetes' own ------------------------------------------------------------------


def job(name, *containers, **fields):
    template = pod(name, *containers, **fields)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]}}}  # fmt: skip


def pod_of(kube, name):
    (found,) = json.loads(kube.out("get", "pods", "-l", f"job-name={name}", "-o", "json"))["items"]
    return found


def worked(kube, name, *containers, **fields):
    """The log of a job that completes."""
    kube.make(job(name, *containers, **fields))
    kube.wait(f"job/{name}", "condition=Complete")
    return kube.out("logs", f"job/{name}")


def test_agent_job_submit(kube):
    assert worked(kube, "submitted", shell("echo works")) == "works\n"


def test_agent_job_status_poll(kube):
    mounts = [{"name": "w", "mountPath": "/w"}]
    node = kube.workers[0]
    directory = node.path("/var/lib/reaper-kube-poll")
    directory.mkdir()
    try:
        kube.make(job("polled", shell("until [ -e /w/go ]; do sleep 0.1; done", volumeMounts=mounts), nodeName=node.name,
                      volumes=[{"name": "w", "hostPath": {"path": "/var/lib/reaper-kube-poll"}}]))  # fmt: skip
        until(lambda: kube.get("job", "polled")["status"].get("ready") == 1, limit=90, what="the running job")
        assert kube.get("job", "polled")["status"].get("succeeded") is None
        (directory / "go").touch()
        kube.wait("job/polled", "condition=Complete")
        assert kube.get("job", "polled")["status"]["succeeded"] == 1
    finally:
        node.run("rm", "-r", "/var/lib/reaper-kube-poll")


def test_agent_job_failed_exit_code(kube):
    kube.make(job("fails", shell("exit 9")))
    kube.wait("job/fails", "condition=Failed")
    assert pod_of(kube, "fails")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 9


def test_agent_job_terminate(kube):
    kube.make(job("terminated", shell("exec sleep 86371")))
    until(lambda: kube.get("job", "terminated")["status"].get("ready") == 1, limit=90, what="the running job")
    node = kube.nodes[pod_of(kube, "terminated")["spec"]["nodeName"]]
    assert node.run("pgrep", "-fx", "sleep 86371").returncode == 0
    kube.kubectl("delete", "job", "terminated", "--cascade=foreground")
    assert node.run("pgrep", "-fx", "sleep 86371", check=False).stdout == ""


def test_agent_job_not_found(kube):
    asked = kube.kubectl("get", "job", "no-such-job", check=False)
    assert asked.returncode != 0 and "NotFound" in asked.stderr


def test_agent_job_env_vars(kube):
    env = [{"name": "GIVEN", "value": "by the job"}, {"name": "JOB", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['job-name']"}}}]
    assert worked(kube, "environment", shell("echo $GIVEN, $JOB", env=env)) == "by the job, environment\n"


def test_agent_job_hostfile_written(kube):
    """An MPI job's list of hosts, at a path that its program knows."""
    hosts = "".join(f"{node.name} slots=2\n" for node in kube.workers)
    kube.make({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hosts"}, "data": {"hostfile": hosts}})
    mounts = [{"name": "h", "mountPath": "/etc/reaper-hostfile", "subPath": "hostfile"}]
    told = worked(kube, "hostfile", shell("cat /etc/reaper-hostfile", volumeMounts=mounts), volumes=[{"name": "h", "configMap": {"name": "hosts"}}])
    assert told == hosts
    assert not any(node.path("/etc/reaper-hostfile").exists() for node in kube.workers)


def test_agent_job_working_dir(kube):
    assert worked(kube, "directory", shell("pwd", workingDir="/var/reaper-made/for/this")) == "/var/reaper-made/for/this\n"
    assert not any(node.path("/var/reaper-made").exists() for node in kube.workers)


# --- ReaperPod: a Pod ---------------------------------------------------------------------------


def no_resources_of_ours(kube):
    assert "reaper" not in kube.out("get", "crd", "-o", "name")
    assert "reaper" not in kube.out("api-resources", "-o", "name")


def test_controller_crd_install(kube):
    """All there is to install is the class."""
    no_resources_of_ours(kube)
    assert kube.get("runtimeclass", "reaper-v2")["handler"] == "reaper-v2"


def test_controller_deployment(kube):
    for kind in ("deployments", "daemonsets", "statefulsets"):
        assert "reaper" not in kube.out("get", kind, "--all-namespaces", "-o", "name"), kind


def test_controller_simple_reaperpod(kube):
    assert kube.run("simple", "echo simple; uname -n") == (0, "simple\nsimple\n")


def test_controller_status_mirroring(kube):
    kube.make(pod("mirrored", shell("until [ -e /tmp/reaper-parity-go ]; do sleep 0.1; done; rm /tmp/reaper-parity-go; exit 4")))
    kube.phase("mirrored", "Running")
    running = kube.status("mirrored")
    assert running["state"]["running"]["startedAt"] and running["containerID"].startswith("containerd://")
    kube.exec("mirrored", "touch", "/tmp/reaper-parity-go")
    kube.phase("mirrored", "Failed")
    ended = kube.status("mirrored")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (4, "Error")
    assert running["state"]["running"]["startedAt"] == ended["startedAt"] <= ended["finishedAt"]


def test_controller_exit_code(kube):
    codes = (0, 1, 77, 255)
    kube.make(*(pod(f"exits-{code}", shell(f"exit {code}")) for code in codes), pod("killed", shell("sleep 600 & kill -9 $!; wait $!")))
    assert [kube.ended(f"exits-{code}")[0] for code in codes] == list(codes)
    assert kube.ended("killed")[0] == 137


def test_controller_reaperpod_annotations(kube):
    """What the pod says reaches the node: the user by name, and what it may write."""
    wish = {"reaper.runtime/user": "daemon", "reaper.runtime/overlay-name": "parity-wish", "reaper.runtime/upper-size": "8M"}
    kube.make(pod("annotated", shell("id -un; echo $USER; df --output=size -B 1M / | tail -1 | tr -d ' '"), annotations=wish))
    assert kube.ended("annotated") == (0, "daemon\ndaemon\n8\n")


def workload(kind, name, script, **fields):
    template = pod(name, shell(script), restartPolicy="Always", labels={"app": name}, **fields)
    spec = {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": template["metadata"], "spec": template["spec"]}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def its_pods(kube, name):
    return json.loads(kube.out("get", "pods", "-l", f"app={name}", "-o", "json"))["items"]


def gone_with_its_owner(kube, kind, name, command):
    nodes = [kube.nodes[each["spec"]["nodeName"]] for each in its_pods(kube, name)]
    assert all(node.run("pgrep", "-fx", command).returncode == 0 for node in nodes)
    kube.kubectl("delete", kind, name, "--cascade=foreground", timeout=180)
    assert its_pods(kube, name) == []
    assert [node.name for node in nodes if node.run("pgrep", "-fx", command, check=False).stdout] == []


def test_controller_gc_on_delete(kube):
    kube.make(workload("Deployment", "owner", "exec sleep 86381"))
    kube.kubectl("rollout", "status", "deployment/owner", "--timeout=90s", timeout=150)
    gone_with_its_owner(kube, "deployment", "owner", "sleep 86381")


def table(text):
    """Each row of what kubectl prints by its columns' names."""
    head, *rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return [dict(zip(head, row)) for row in rows]


def test_controller_kubectl_get_columns(kube):
    kube.make(pod("ends-well", shell("true")), pod("ends-badly", shell("exit 1")))
    kube.start("goes-on")
    for name in ("ends-well", "ends-badly"):
        kube.ended(name)
    rows = {row["NAME"]: row for row in table(kube.out("get", "pods", "-l", "test", "-o", "wide"))}
    assert [rows[name]["STATUS"] for name in ("ends-well", "ends-badly", "goes-on")] == ["Completed", "Error", "Running"]
    assert (rows["goes-on"]["READY"], rows["goes-on"]["RESTARTS"]) == ("1/1", "0")
    assert rows["goes-on"]["NODE"] == kube.node_of("goes-on").name


# --- ReaperOverlay: groups, and reaperctl on the node -------------------------------------------


def test_overlay_crd_install(kube):
    no_resources_of_ours(kube)


def test_overlay_crd_create_and_status(kube):
    """The first pod that names a group makes it."""
    node = kube.workers[0]
    with active(kube, node, "parity-status"):
        told = groups(node)["node.parity-status"]
        assert (told["scope"], told["name"], told["pods"]) == ("node", "parity-status", ["default/active-parity-status"])
        assert 0 < told["used_bytes"] < told["size_bytes"]


def test_overlay_crd_kubectl_get_columns(kube):
    node = kube.workers[0]
    with active(kube, node, "parity-columns"):
        head, *rows = node.reaperctl("overlay", "list").stdout.splitlines()
        assert head.split() == "MiB of files of processes group, its pods".split()
        (row,) = [line.split() for line in rows if "  node.parity-columns  " in line]
        assert row[-2:] == ["node.parity-columns", "default/active-parity-columns"]
        shown = node.reaperctl("overlay", "show", "--group", "node.parity-columns").stdout
        assert re.search(r"^layer +/: /run/reaper/groups/node\.parity-columns/", shown, re.MULTILINE)


def test_overlay_crd_pvc_blocking(kube):
    """A pod waits for its volume, and starts when it is there."""
    node = kube.workers[0]
    kube.make(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "later"},
         "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "parity", "resources": {"requests": {"storage": "1Mi"}}}},
        pod("waits", shell("echo started >/v/file; cat /v/file", volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "later"}}]))  # fmt: skip
    until(lambda: any("PersistentVolumeClaim" in each for each in kube.events("waits")), limit=60, what="the scheduler's word")
    assert kube.get("pod", "waits")["status"]["phase"] == "Pending"
    node.path("/var/lib/reaper-kube-later").mkdir()
    try:
        kube.make(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "reaper-parity-later"},
             "spec": {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "parity",
                      "local": {"path": "/var/lib/reaper-kube-later"},
                      "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                          {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name]}]}]}}}})  # fmt: skip
        assert kube.ended("waits", limit=180) == (0, "started\n")
    finally:
        kube.kubectl("delete", "pod", "waits", "--ignore-not-found")
        node.run("rm", "-r", "/var/lib/reaper-kube-later")


def test_overlay_crd_reset_generation(kube):
    """Who runs keeps what it sees; the next one gets the host as it is."""
    node = kube.workers[0]
    with active(kube, node, "parity-reset"):
        node.reaperctl("overlay", "reset", "--group", "node.parity-reset")
        kube.make(grouped("after-reset", "parity-reset", READS, node))
        assert kube.ended("after-reset") == (0, "nothing\n")


def test_overlay_crd_delete_cleanup(kube):
    """What is gone leaves neither mount nor file on the node."""
    node = kube.workers[0]
    used(kube, node, "parity-gone")
    key = "node.parity-gone"
    assert node.path(f"/run/reaper/ns/{key}").exists() and node.path(f"/run/reaper/groups/{key}").is_dir()
    node.reaperctl("overlay", "gc")
    assert not node.path(f"/run/reaper/ns/{key}").exists() and not node.path(f"/run/reaper/groups/{key}").exists()
    assert key not in node.run("cat", "/proc/1/mountinfo").stdout


# --- ReaperDaemonJob: a DaemonSet ---------------------------------------------------------------


@pytest.fixture
def everywhere(kube):
    """everywhere(NAME, SCRIPT) is a DaemonSet when all of its pods are ready."""

    def make(name, script, **fields):
        kube.make(workload("DaemonSet", name, script, **fields))
        kube.kubectl("rollout", "status", f"daemonset/{name}", "--timeout=90s", timeout=150)

    return make


def test_daemon_job_crd_install(kube):
    no_resources_of_ours(kube)


def test_daemon_job_simple(kube, everywhere):
    everywhere("simple-everywhere", "uname -n; exec sleep infinity", hostNetwork=True)
    told = {kube.out("logs", each["metadata"]["name"]).strip() for each in its_pods(kube, "simple-everywhere")}
    assert told == {node.run("uname", "-n").stdout.strip() for node in kube.workers}


def test_daemon_job_status_tracking(kube, everywhere):
    everywhere("tracked", "exec sleep infinity")
    status = kube.get("daemonset", "tracked")["status"]
    count = len(kube.workers)
    assert [status[f"{each}NumberScheduled"] for each in ("desired", "current")] == [count, count]
    assert (status["numberReady"], status["numberAvailable"], status["updatedNumberScheduled"]) == (count, count, count)


def test_daemon_job_node_statuses(kube, everywhere):
    """On which node it is ready, and on which it is not."""
    bad = kube.workers[0].name
    mounts = [{"name": "n", "mountPath": "/node"}]
    probe = {"exec": {"command": ["sh", "-c", f'test "$NODE" != {bad}']}, "periodSeconds": 1}
    env = [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]
    made = workload("DaemonSet", "statuses", "exec sleep infinity", volumes=[{"name": "n", "emptyDir": {}}])
    made["spec"]["template"]["spec"]["containers"][0] |= {"readinessProbe": probe, "env": env, "volumeMounts": mounts}
    kube.make(made)

    def ready():
        return {each["spec"]["nodeName"]: condition["status"] for each in its_pods(kube, "statuses")
                for condition in each["status"].get("conditions", []) if condition["type"] == "Ready"}  # fmt: skip

    until(lambda: ready() == {node.name: str(node.name != bad) for node in kube.workers}, limit=90, what="each node's own status")
    assert kube.get("daemonset", "statuses")["status"]["numberUnavailable"] == 1


def test_daemon_job_kubectl_columns(kube, everywhere):
    everywhere("columns", "exec sleep infinity")
    (row,) = table(kube.out("get", "daemonset", "columns"))
    assert [row[name] for name in ("DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE")] == [str(len(kube.workers))] * 5


def test_daemon_job_dependency_ordering(kube, everywhere):
    """On each node one after the other: the second step sees what the first has made."""
    mounts = [{"name": "w", "mountPath": "/w"}]
    steps = [shell("echo first >>/w/log", name="first", volumeMounts=mounts),
             shell("grep -q first /w/log && echo second >>/w/log", name="second", volumeMounts=mounts)]  # fmt: skip
    made = workload("DaemonSet", "ordered", "cat /w/log; exec sleep infinity", initContainers=steps, volumes=[{"name": "w", "emptyDir": {}}])
    made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = mounts
    kube.make(made)
    kube.kubectl("rollout", "status", "daemonset/ordered", "--timeout=90s", timeout=150)
    logs = [kube.out("logs", each["metadata"]["name"], "-c", "main") for each in its_pods(kube, "ordered")]
    assert logs == ["first\nsecond\n"] * len(kube.workers)
    assert (SOURCE / "kubernetes/examples/07-ordered-setup").is_dir(), "docs/MIGRATING.md names it"


def test_daemon_job_gc_on_delete(kube, everywhere):
    everywhere("collected", "exec sleep 86391")
    gone_with_its_owner(kube, "daemonset", "collected", "sleep 86391")
