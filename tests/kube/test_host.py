"""What a pod sees of its node, what the node's administrator decides, and what the node remembers."""

import json

import pytest

from kube_cluster import container, init_pid, pod, shell
from waiting import until

pytestmark = pytest.mark.full("a pod is as good as the host that it sees; seconds each")


# --- its view -----------------------------------------------------------------------------------


def test_a_package_that_the_host_installs_is_seen(kube):
    """By pods that start afterwards, at its next version too; who runs keeps running."""
    node = kube.workers[0]
    kube.start("before-the-package", nodeName=node.name)
    before = init_pid(kube, "before-the-package")
    build = """set -e
    d=$(mktemp -d); mkdir -p $d/DEBIAN $d/usr/bin $d/usr/share/reaper-kube-tool
    printf 'Package: reaper-kube-tool\\nVersion: %s\\nArchitecture: all\\nMaintainer: tests\\nDescription: a test\\n' $1 >$d/DEBIAN/control
    printf '#!/bin/sh\\ncat /usr/share/reaper-kube-tool/version\\n' >$d/usr/bin/reaper-kube-tool
    chmod 755 $d $d/usr/bin/reaper-kube-tool
    echo $1 >$d/usr/share/reaper-kube-tool/version
    dpkg-deb --build --root-owner-group $d $d.deb && dpkg --install $d.deb && rm -r $d $d.deb"""
    try:
        for version in ("1.0", "2.0"):
            node.run("sh", "-c", build, "sh", version)
            made = pod(f"tool-{version[0]}", container("reaper-kube-tool"), nodeName=node.name)
            kube.make(made)
            assert kube.ended(made["metadata"]["name"]) == (0, f"{version}\n")
        assert init_pid(kube, "before-the-package") == before
        assert kube.exec("before-the-package", "reaper-kube-tool").stdout == "2.0\n"
    finally:
        node.run("dpkg", "--purge", "reaper-kube-tool", check=False)
    made = pod("tool-gone", container("reaper-kube-tool"), nodeName=node.name)
    kube.make(made)
    kube.wait("pod/tool-gone", "jsonpath={.status.containerStatuses[0].state.terminated}")
    assert "reaper-kube-tool: not found" in kube.status("tool-gone")["state"]["terminated"]["message"]


def test_the_nodes_other_file_systems(kube):
    """What is mounted below / is in the view, and takes no writes; so is what the node mounts while the pod runs, and the pod's
    own mounts are not the node's."""
    node = kube.workers[0]
    top = "/srv/reaper-kube"
    node.run("sh", "-c", f"mkdir -p {top}/data {top}/later {top}/own && mount -t tmpfs data {top}/data && echo host >{top}/data/file")
    try:
        script = f"cat {top}/data/file; echo pod >{top}/data/file; cat {top}/data/file; mount -t tmpfs own {top}/own && echo mounted; sleep infinity"
        kube.make(pod("file-systems", shell(script, securityContext={"privileged": True}), nodeName=node.name))
        kube.ready("file-systems")
        until(lambda: kube.out("logs", "file-systems") == "host\npod\nmounted\n", what="what the pod says")
        assert node.path(f"{top}/data/file").read_text() == "host\n"
        assert node.run("mountpoint", f"{top}/own", check=False).returncode != 0
        node.run("sh", "-c", f"mount -t tmpfs later {top}/later && echo later >{top}/later/file")
        assert kube.run("sees-later", f"cat {top}/later/file", nodeName=node.name) == (0, "later\n")
    finally:
        kube.kubectl("delete", "pod", "file-systems", "sees-later", "--ignore-not-found")
        node.run("reaperctl", "overlay", "refresh", check=False)
        node.run("sh", "-c", f"for d in data later; do umount {top}/$d; done; rm -r {top}", check=False)


def test_the_nodes_secrets_are_not_there(kube):
    """For root of an ordinary pod, and on the node that has the cluster's keys."""
    node = next(each for each in kube.nodes.values() if each not in kube.workers)
    secret = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/ca.key", "/var/lib/etcd/member", "/var/lib/kubelet/pki", "/var/log/pods")
    assert all(node.path(path).exists() for path in secret)
    script = f"for f in {' '.join(secret)}; do ls -d $f 2>&1; done | grep -vc 'No such file'; cut -d: -f2 /etc/shadow | sort -u"
    kube.make(pod("looks", shell(script), nodeName=node.name))
    code, text = kube.ended("looks")
    there, *passwords = text.split()
    assert (code, there) == (0, "0")
    assert all(word.startswith(("!", "*")) for word in passwords)


def test_the_environment_is_the_pods(kube):
    """Nothing of containerd's, nor of the shim's; and that of an exec is its container's."""
    kube.start("environment", "env; exec sleep infinity", enableServiceLinks=False)
    until(lambda: "PATH=" in kube.out("logs", "environment"), what="the variables")

    def names(text):
        return {line.split("=")[0] for line in text.splitlines()} - {"PWD", "_", "SHLVL", "OLDPWD"}

    mine = names(kube.out("logs", "environment"))
    known = {"PATH", "HOME", "HOSTNAME"}
    extra = {name for name in mine - known if not name.startswith(("KUBERNETES_", "REAPER_"))}
    assert known <= mine and not extra, extra
    assert names(kube.exec("environment", "env").stdout) == mine


def test_commands_are_found_as_docs_say(kube):
    """An absolute path as it is, one with a slash from workingDir, a name by PATH: the container's own, else the node's."""
    node = kube.workers[0]
    node.run("sh", "-c", "mkdir -p /opt/reaper-kube && printf '#!/bin/sh\\necho found $0\\n' >/opt/reaper-kube/tool && chmod 755 /opt/reaper-kube/tool")
    try:
        kube.make(
            pod("absolute", container("/opt/reaper-kube/tool"), nodeName=node.name),
            pod("relative", container("./tool", workingDir="/opt/reaper-kube"), nodeName=node.name),
            pod("by-path", container("tool", env=[{"name": "PATH", "value": "/opt/reaper-kube"}]), nodeName=node.name),
            pod("nowhere", container("tool"), nodeName=node.name),
        )  # fmt: skip
        assert kube.ended("absolute") == (0, "found /opt/reaper-kube/tool\n")
        assert kube.ended("relative") == (0, "found ./tool\n")
        assert kube.ended("by-path") == (0, "found /opt/reaper-kube/tool\n")
        kube.wait("pod/nowhere", "jsonpath={.status.containerStatuses[0].state.terminated}")
        assert "tool: not found; searched /usr/local/sbin:" in kube.status("nowhere")["state"]["terminated"]["message"]
    finally:
        node.run("rm", "-r", "/opt/reaper-kube")


# --- its administrator --------------------------------------------------------------------------


def test_the_nodes_policy_refuses_by_name(kube):
    """A container and an exec; and it counts for the next start, without a restart of anything."""
    node = kube.workers[0]
    kube.start("was-there", nodeName=node.name)
    file = node.path("/etc/reaper/policy.d/50-kube-test.conf")
    file.write_text('[deny]\nnamespace=default\ncommand=id\nmessage="ask ops@example.org"\n')
    words = "/etc/reaper/policy.d/50-kube-test.conf:1: this node's policy denies"
    try:
        kube.make(pod("denied", container("id"), nodeName=node.name), pod("admitted", shell("echo runs"), nodeName=node.name))
        assert kube.ended("admitted") == (0, "runs\n")
        kube.wait("pod/denied", "jsonpath={.status.containerStatuses[0].state.terminated}")
        said = kube.describe("pod/denied")
        assert "StartError" in said and words in said and "ask ops@example.org" in said
        refused = kube.exec("was-there", "id", check=False)
        assert refused.returncode != 0 and words in refused.stderr
        assert kube.exec("was-there", "echo", "lives").stdout == "lives\n"
    finally:
        file.unlink()
    assert kube.exec("was-there", "id", "-u").stdout == "0\n"


def test_a_user_that_the_node_does_not_know_is_refused(kube):
    kube.make(
        pod("nobody-knows", shell("true"), annotations={"reaper.runtime/user": "reaper-no-such-user"}),
        pod("known", shell("id -un; echo $USER $HOME"), annotations={"reaper.runtime/user": "games"}),
    )
    kube.wait("pod/nobody-knows", "jsonpath={.status.containerStatuses[0].state.terminated}")
    ended = kube.status("nobody-knows")["state"]["terminated"]
    assert ended["reason"] == "StartError" and "reaper-no-such-user" in ended["message"]
    assert kube.ended("known") == (0, "games\ngames /usr/games\n")


# --- what it remembers --------------------------------------------------------------------------


def test_the_history_tells_what_was_run(kube):
    """A record of each start, refusal, exec and end, with the names that the cluster has for it."""
    node = kube.workers[0]
    kube.make(pod("told", shell("head -c 1M /dev/zero >/var/tmp/reaper-told; until [ -e /tmp/reaper-told-go ]; do sleep 0.1; done; exit 3",
                                securityContext={"runAsUser": 1234}), nodeName=node.name),
              pod("untold", container("no-such-program"), nodeName=node.name))  # fmt: skip
    kube.ready("told")
    kube.exec("told", "touch", "/tmp/reaper-told-go")
    assert kube.ended("told")[0] == 3
    kube.wait("pod/untold", "jsonpath={.status.containerStatuses[0].state.terminated}")

    def records(name):
        lines = node.reaperctl("history", "--pod", name, "--json").stdout.splitlines()
        return {each["event"]: each for each in map(json.loads, lines)}

    uid = kube.get("pod", "told")["metadata"]["uid"]
    found = until(lambda: (seen := records("told")) and {"start", "exec", "exec-exit", "exit"} <= seen.keys() and seen, what="the records")
    for record in found.values():
        assert (record["namespace"], record["pod"], record["container"], record["pod_uid"]) == ("default", "told", "main", uid)
        assert record["uid"] == 1234
    assert found["start"]["command"][0] == "/bin/sh"
    assert found["exec"]["command"] == ["touch", "/tmp/reaper-told-go"]
    assert found["exit"]["status"] == 3 and found["exit"]["overlay_bytes"] >= 1 << 20
    refused = records("untold")["refused"]
    assert "no-such-program: not found" in refused["error"]
    node.run("reaperctl", "overlay", "gc", check=False)
