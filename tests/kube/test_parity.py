"""The prototype's own suite on a cluster, test by test under its names; what it did not test is in the other files.

Its tests of an agent and of custom resources have no counterpart: there is no agent, and a DaemonSet or a Job of
the RuntimeClass does what those resources did.
"""

import pytest

from kube_cluster import container, pod, shell
from waiting import until

pytestmark = pytest.mark.full("what users of the prototype rely on; half a minute")

NAME = "reaper-test-parity"
FILES = [{"name": "f", "mountPath": "/files"}]


def volume(**source):
    return [{"name": "f", **source}]


def words(name, script, code=0, output="", containers=None, **spec):
    """A pod that runs to its end, and what it must say."""
    made = pod(name.replace("_", "-"), *(containers or [shell(script)]), **spec)
    return name, made, code, output


CASES = [
    words("echo_command", "", containers=[container("echo", "hello", "there")], output="hello there\n"),
    words("dns_resolution", "grep -c ^nameserver /etc/resolv.conf", output="1\n", dnsPolicy="Default"),
    words("kubernetes_dns_resolution", "getent hosts kubernetes.default.svc.cluster.local > /dev/null && echo found", output="found\n"),
    words("uid_gid_switching", "", output="1000:1001\n",
          containers=[shell("echo $(id -u):$(id -g)", securityContext={"runAsUser": 1000, "runAsGroup": 1001})]),
    words("privilege_drop", "", output="refused\n",
          containers=[shell("cat /etc/shadow 2>/dev/null || echo refused", securityContext={"runAsUser": 65534})]),
    words("configmap_volume", "", output="from the map\n", containers=[shell("cat /files/key; echo", volumeMounts=FILES)],
          volumes=volume(configMap={"name": NAME})),
    words("secret_volume", "", output="from the secret\n", containers=[shell("cat /files/key; echo", volumeMounts=FILES)],
          volumes=volume(secret={"secretName": NAME})),
    words("emptydir_volume", "", output="kept\n", containers=[shell("echo kept > /files/x; cat /files/x", volumeMounts=FILES)],
          volumes=volume(emptyDir={})),
    words("hostpath_volume", "", output="yes\n", containers=[shell("test -e /files/os-release && echo yes", volumeMounts=FILES)],
          volumes=volume(hostPath={"path": "/etc"})),
    words("readonly_volume_rejection", "", output="refused\n",
          containers=[shell("touch /files/x 2>/dev/null || echo refused", volumeMounts=[{**FILES[0], "readOnly": True}])],
          volumes=volume(emptyDir={})),
    words("working_directory", "", output="/var/tmp\n", containers=[shell("pwd", workingDir="/var/tmp")]),
    words("stderr_capture", "echo to stderr >&2", output="to stderr\n"),
    words("env_vars", "", output="one two\n",
          containers=[shell("echo $A $B", env=[{"name": "A", "value": "one"}, {"name": "B", "value": "two"}])]),
    words("nonzero_exit_code", "exit 42", code=42),
    words("large_output", "head -c 500000 /dev/zero | tr '\\0' x | fold -w 1000; echo", output="x" * 1000 + "\n"),
    words("command_not_found", "no-such-command 2>/dev/null", code=127),
]  # fmt: skip


@pytest.fixture(scope="module")
def ended(cluster, clean_nodes):
    """All of them at once, as a cluster would start them."""
    maps = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"key": "from the map"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "stringData": {"key": "from the secret"}}]  # fmt: skip
    cluster.apply(*maps, *(made for _, made, _, _ in CASES))
    yield cluster
    cluster.kubectl("delete", "configmap,secret", NAME)
    cluster.kubectl("delete", "pod", *(made["metadata"]["name"] for _, made, _, _ in CASES), "--wait=false")


@pytest.mark.parametrize(("made", "code", "output"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_pod_that_ends(ended, made, code, output):
    seen, text = ended.ended(made["metadata"]["name"])
    assert seen == code, text
    if len(output) > 1000:
        assert text.replace("x", "") == "\n" * text.count("\n") and text.count("x") == 500_000
    else:
        assert text == output


def test_volume_rerun(kube):
    """The same pod again: its volumes are new."""
    for _ in range(2):
        kube.make(pod("rerun", shell("ls /files | wc -l; touch /files/x", volumeMounts=FILES), volumes=volume(emptyDir={})))
        assert kube.ended("rerun") == (0, "0\n")
        kube.kubectl("delete", "pod", "rerun")


def test_overlay_sharing(kube):
    """What a pod writes is seen by the next one of its node, and not by the node."""
    node = kube.workers[0]
    assert kube.run("shares", "echo shared > /var/tmp/reaper-shared", nodeName=node.name)[0] == 0
    assert kube.run("sees-shared", "cat /var/tmp/reaper-shared", nodeName=node.name) == (0, "shared\n")
    assert not node.path("/var/tmp/reaper-shared").exists()


def test_host_protection(kube):
    node = kube.workers[0]
    before = node.run("sha256sum", "/etc/passwd", "/usr/bin/tar").stdout
    kube.run("destroys", "echo x >> /etc/passwd; rm /usr/bin/tar; rm -rf /var/lib/dpkg; true", nodeName=node.name)
    assert node.run("sha256sum", "/etc/passwd", "/usr/bin/tar").stdout == before
    assert node.path("/var/lib/dpkg/status").exists()
    node.run("reaperctl", "overlay", "gc", "--all", check=False)


def test_no_defunct_processes(kube):
    kube.start("zombies", "for i in 1 2 3 4 5; do (sleep 0.1 & exec sleep 0.01); done; exec sleep infinity")
    node = kube.node_of("zombies")
    kube.exec("zombies", "true")
    until(lambda: "Z" not in [line.split()[0] for line in node.run("ps", "-eo", "stat=,comm=").stdout.splitlines() if "reaper" in line],
          what="no zombies")  # fmt: skip


def test_shim_cleanup_after_delete(kube):
    kube.start("shim-gone")
    node = kube.node_of("shim-gone")
    count = "ps -eo args= | grep -c '[c]ontainerd-shim-reaper-v2'"
    assert int(node.run("sh", "-c", count).stdout) >= 1
    shims = {line for line in node.run("ps", "-eo", "pid=,args=").stdout.splitlines() if "containerd-shim-reaper-v2" in line}
    kube.kubectl("delete", "pod", "shim-gone")
    until(lambda: shims - {line for line in node.run("ps", "-eo", "pid=,args=").stdout.splitlines()}, what="the shim's end")


def test_exec_support_and_exit_codes(kube):
    kube.start("exec-parity")
    assert kube.exec("exec-parity", "echo", "hello").stdout == "hello\n"
    assert kube.exec("exec-parity", "sh", "-c", "exit 3", check=False).returncode == 3
    assert "not found; searched" in kube.exec("exec-parity", "no-such-binary", check=False).stderr


def test_concurrent_pods(kube):
    names = [f"concurrent-{number}" for number in range(10)]
    kube.make(*(pod(name, shell(f"echo {name}")) for name in names))
    for name in names:
        assert kube.ended(name) == (0, f"{name}\n")


def test_rapid_create_delete(kube):
    for number in range(5):
        kube.make(pod(f"rapid-{number}", shell("exec sleep infinity")))
        kube.kubectl("delete", "pod", f"rapid-{number}", "--wait=false")
    until(lambda: not [n for n in range(5) if kube.kubectl("get", "pod", f"rapid-{n}", check=False).returncode == 0],
          limit=60, what="the end of the pods")  # fmt: skip


def test_config_file_on_node(kube):
    """The next pod is started by it, no daemon has to be told."""
    node = kube.workers[0]
    conf = node.path("/etc/reaper/reaper.conf")
    before = conf.read_text()
    conf.write_text(before + "\nREAPER_HOST_NAMESPACES=uts\n")
    try:
        code, text = kube.run("configured", "readlink /proc/self/ns/uts", nodeName=node.name)
        assert (code, text.strip()) == (0, node.run("readlink", "/proc/1/ns/uts").stdout.strip())
    finally:
        conf.write_text(before)


@pytest.mark.parametrize("annotation", [{"reaper.runtime/exit-grace": "soon"}, {"reaper.runtime/no-such-thing": "1"}],
                         ids=["invalid_annotation", "unknown_annotation"])  # fmt: skip
def test_annotations_that_mean_nothing_are_refused(kube, annotation):
    """The prototype ignored them; a pod that asks for what it does not get is refused with the reason."""
    name = "bad-annotation"
    kube.make(pod(name, shell("true"), annotations=annotation))
    key = next(iter(annotation))
    until(lambda: any(key in event for event in kube.events(name)), limit=60, what=f"an event that names {key}")
    kube.kubectl("delete", "pod", name)
