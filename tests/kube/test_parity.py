"""The prototype's own suite on a cluster, test by test under its names; what it did not test is in the other files.

Those of its agent and its custom resources are in test_parity_operations.py.
"""

import pytest

from kube_cluster import container, namespace, pod, reaper_settings, shell
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


def test_exec_support(kube):
    kube.start("exec-parity")
    assert kube.exec("exec-parity", "echo", "hello").stdout == "hello\n"


def test_exec_exit_code(kube):
    kube.start("exec-exit-code")
    assert [kube.exec("exec-exit-code", "sh", "-c", f"exit {code}", check=False).returncode for code in (0, 3, 77)] == [0, 3, 77]


def test_exec_nonexistent_binary(kube):
    kube.start("exec-nothing")
    refused = kube.exec("exec-nothing", "no-such-binary", check=False)
    assert refused.returncode != 0
    assert "no-such-binary: not found; searched" in refused.stderr
    assert kube.exec("exec-nothing", "echo", "lives").stdout == "lives\n"


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


def test_sigterm_delivery(kube):
    mounts = [{"name": "w", "mountPath": "/w"}]
    script = "trap 'echo told >/w/told; exit 0' TERM; echo ready; while :; do sleep 1 & wait $!; done"
    node = kube.workers[0]
    kube.make(pod("told", shell(script, volumeMounts=mounts), nodeName=node.name, terminationGracePeriodSeconds=60,
                  volumes=[{"name": "w", "hostPath": {"path": "/var/lib/reaper-kube-told", "type": "DirectoryOrCreate"}}]))  # fmt: skip
    kube.ready("told")
    until(lambda: kube.out("logs", "told") == "ready\n", what="the trap")
    try:
        kube.kubectl("delete", "pod", "told")
        assert node.path("/var/lib/reaper-kube-told/told").read_text() == "told\n"
    finally:
        node.run("rm", "-r", "/var/lib/reaper-kube-told")


def test_process_group_kill(kube):
    """Children go with their pod: of its process group, of another one, and of another session."""
    kube.start("family", "sleep 86351 & setsid sleep 86352 & setsid -f sh -c 'sleep 86353 & exec sleep 86354'; exec sleep 86355")
    node = kube.node_of("family")

    def children():
        return len(node.run("pgrep", "-fx", "sleep 8635[1-5]", check=False).stdout.split())

    until(lambda: children() == 5, what="the children")
    kube.kubectl("delete", "pod", "family")
    assert children() == 0


# --- whose writes -------------------------------------------------------------------------------


def run_in(kube, where, name, script):
    """A pod in another namespace to its end: its log. All are on the first worker."""
    made = pod(name, shell(script), nodeName=kube.workers[0].name)
    made["metadata"]["namespace"] = where
    kube.make(made)
    kube.kubectl("wait", "-n", where, "--for=jsonpath={.status.containerStatuses[0].state.terminated}", f"pod/{name}", "--timeout=90s",
                 timeout=150)  # fmt: skip
    return kube.out("logs", "-n", where, name)


READ = "cat /var/tmp/reaper-was-here 2>/dev/null || echo nothing"


def test_namespace_overlay_isolation(kube):
    names = ("reaper-test-one", "reaper-test-two")
    kube.make(*(namespace(name) for name in names))
    for name in names:
        kube.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=60s")
    with reaper_settings(kube.workers[0], "REAPER_OVERLAY_ISOLATION=namespace"):
        assert run_in(kube, names[0], "writes", "echo one >/var/tmp/reaper-was-here") == ""
        assert [run_in(kube, name, "reads", READ) for name in names] == ["one\n", "nothing\n"]


def named(name, *annotations):
    return {"reaper.runtime/overlay-name": name, **dict(annotations)}


def test_overlay_name_isolation(kube):
    node = kube.workers[0].name
    kube.make(pod("writes-a", shell("echo a >/var/tmp/reaper-was-here"), nodeName=node, annotations=named("parity-a")))
    assert kube.ended("writes-a") == (0, "")
    kube.make(
        pod("reads-a", shell(READ), nodeName=node, annotations=named("parity-a")),
        pod("reads-b", shell(READ), nodeName=node, annotations=named("parity-b")),
        pod("reads-no-name", shell(READ), nodeName=node),
    )
    assert [kube.ended(name)[1] for name in ("reads-a", "reads-b", "reads-no-name")] == ["a\n", "nothing\n", "nothing\n"]


def test_dns_mode_annotation_override(kube):
    node = kube.workers[0]
    kube.make(
        pod("dns-host", shell("cat /etc/resolv.conf"), nodeName=node.name, annotations={"reaper.runtime/dns-mode": "host"}),
        pod("dns-own", shell("cat /etc/resolv.conf"), nodeName=node.name),
    )
    assert kube.ended("dns-host") == (0, node.run("cat", "/etc/resolv.conf").stdout)
    assert "svc.cluster.local" in kube.ended("dns-own")[1]


def test_combined_annotations(kube):
    node = kube.workers[0]
    both = named("parity-both", ("reaper.runtime/dns-mode", "host"), ("reaper.runtime/upper-size", "8M"))
    script = f"{READ}; cmp /etc/resolv.conf /theirs && echo same; head -c 16M /dev/zero 2>&1 >/var/tmp/fill | grep -o 'No space left'"
    kube.make(pod("both", shell(script, volumeMounts=[{"name": "r", "mountPath": "/theirs"}]), nodeName=node.name, annotations=both,
                  volumes=[{"name": "r", "hostPath": {"path": "/etc/resolv.conf", "type": "File"}}]))  # fmt: skip
    assert kube.ended("both") == (0, "nothing\nsame\nNo space left\n")


# --- what the node and the pod say --------------------------------------------------------------


def test_config_file_on_node(kube):
    node = kube.workers[0]
    with reaper_settings(node, "REAPER_HOST_NAMESPACES=uts"):
        code, text = kube.run("configured", "readlink /proc/self/ns/uts", nodeName=node.name)
        assert (code, text.strip()) == (0, node.run("readlink", "/proc/1/ns/uts").stdout.strip())


def refused(kube, annotation):
    """The prototype ignored what means nothing; a pod that asks for what it does not get is refused with the reason."""
    (key,) = annotation
    kube.make(pod("bad-annotation", shell("true"), annotations=annotation))
    until(lambda: any(key in event for event in kube.events("bad-annotation")), limit=60, what=f"an event that names {key}")
    kube.kubectl("delete", "pod", "bad-annotation")


def test_invalid_annotation_graceful_fallback(kube):
    refused(kube, {"reaper.runtime/exit-grace": "soon"})


def test_unknown_annotations_ignored(kube):
    refused(kube, {"reaper.runtime/no-such-thing": "1"})
    # those of others are none of our business
    kube.make(pod("others", shell("echo runs"), annotations={"example.com/no-such-thing": "1"}))
    assert kube.ended("others") == (0, "runs\n")
