"""Volumes of every type, each private to its container, and nothing of them left on the node."""

import json

import pytest

from kube_cluster import pod, shell
from waiting import until

pytestmark = pytest.mark.full("each takes seconds; the decisive ones are in the submission set")
decisive = pytest.mark.submission("a host process with its own secrets is the product")


def mount(name, path, **fields):
    return {"name": name, "mountPath": path, **fields}


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name, **data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


@decisive
def test_config_map_secret_downward_and_projected(kube):
    kube.make(
        config_map("settings", key="value", other="second"), secret("password", word="sesame"),
        pod("files", shell(
                "cat /c/key; echo; cat /s/word; echo; cat /d/name; echo; cat /p/key /p/word; echo; stat -Lc %a /s/word; "
                "echo $FROM_MAP $FROM_SECRET $POD; cat /one/file",
                volumeMounts=[mount("c", "/c"), mount("s", "/s"), mount("d", "/d"), mount("p", "/p"),
                              mount("c", "/one/file", subPath="other")],
                env=[{"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "key"}}},
                     {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "password", "key": "word"}}},
                     {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
            volumes=[{"name": "c", "configMap": {"name": "settings"}},
                     {"name": "s", "secret": {"secretName": "password", "defaultMode": 0o400}},
                     {"name": "d", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                     {"name": "p", "projected": {"sources": [{"configMap": {"name": "settings"}}, {"secret": {"name": "password"}}]}}]),
    )  # fmt: skip
    assert kube.ended("files") == (0, "value\nsesame\nfiles\nvaluesesame\n400\nvalue sesame files\nsecond")


def test_a_config_map_is_updated_in_a_running_pod(kube):
    kube.make(config_map("changing", key="before"))
    kube.make(
        pod("updated", shell("until grep -q after /c/key; do sleep 1; done; echo changed", volumeMounts=[mount("c", "/c")]),
            volumes=[{"name": "c", "configMap": {"name": "changing"}}]))  # fmt: skip
    kube.ready("updated")
    kube.apply(config_map("changing", key="after"))
    # the kubelet syncs a pod at once when it is touched, else once a minute
    kube.kubectl("annotate", "pod", "updated", "touched=yes")
    assert kube.ended("updated", limit=150) == (0, "changed\n")


@decisive
def test_two_service_accounts_at_one_path(kube):
    """Two pods of one node and one overlay group read each its own token."""
    node = kube.workers[0].name
    names = ("alice", "bob")
    kube.make(*({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}} for name in names))
    script = "cut -d. -f2 /var/run/secrets/kubernetes.io/serviceaccount/token | tr _- /+ | base64 -d 2>/dev/null; echo; exec sleep infinity"
    kube.make(*(pod(f"token-{name}", shell(script), serviceAccountName=name, nodeName=node) for name in names))
    for name in names:
        kube.ready(f"token-{name}")
    read = "cut -d. -f2 /var/run/secrets/kubernetes.io/serviceaccount/token | tr _- /+ | base64 -d 2>/dev/null || true"
    for name in names:
        claims = kube.exec(f"token-{name}", "sh", "-c", read).stdout
        assert f"system:serviceaccount:default:{name}" in claims
    # and on the node, where the path is a pod's and not the host's, there is none
    assert not kube.workers[0].path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()


@decisive
def test_the_token_opens_the_api(kube):
    kube.make({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reaper-test-view"},
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
               "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]})  # fmt: skip
    code, text = kube.run("in-cluster", """
        d=/var/run/secrets/kubernetes.io/serviceaccount
        curl -sS --cacert $d/ca.crt -H "Authorization: Bearer $(cat $d/token)" \
            https://kubernetes.default.svc/api/v1/namespaces/$(cat $d/namespace)/pods/in-cluster""")  # fmt: skip
    assert code == 0, text
    assert json.loads(text)["metadata"]["name"] == "in-cluster"


@decisive
def test_empty_dirs(kube):
    volumes = [{"name": "disk", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]
    mounts = [mount("disk", "/scratch"), mount("memory", "/dev/shm")]
    kube.make(pod("empty",
        shell("echo hi > /scratch/file; until [ -e /scratch/seen ]; do sleep 0.1; done; stat -fc %T /dev/shm; "
              "dd if=/dev/zero of=/dev/shm/big bs=1M count=2 2>&1 | grep -o 'No space left'; ls -ld /scratch | cut -c1-10",
              volumeMounts=mounts),
        shell("until [ -e /scratch/file ]; do sleep 0.1; done; cat /scratch/file; touch /scratch/seen", name="second", volumeMounts=mounts),
        volumes=volumes))  # fmt: skip
    kube.phase("empty", "Succeeded")
    assert kube.out("logs", "empty", "-c", "main") == "tmpfs\nNo space left\ndrwxrwxrwx\n"
    assert kube.out("logs", "empty", "-c", "second") == "hi\n"
    assert not kube.node_of("empty").path("/scratch").exists()


@decisive
def test_host_paths_and_read_only(kube):
    node = kube.workers[0]
    directory = node.path("/var/lib/reaper-kube-path")
    directory.mkdir()
    (directory / "in").write_text("from the host\n")
    try:
        kube.make(
            pod("path", shell("cat /host/in; echo from the pod > /host/out; echo x > /ro/x || echo refused",
                              volumeMounts=[mount("h", "/host"), mount("h", "/ro", readOnly=True)]),
                volumes=[{"name": "h", "hostPath": {"path": "/var/lib/reaper-kube-path"}}], nodeName=node.name),
            pod("no-path", shell("true", volumeMounts=[mount("h", "/host")]),
                volumes=[{"name": "h", "hostPath": {"path": "/no/such", "type": "Directory"}}]),
        )  # fmt: skip
        code, text = kube.ended("path")
        assert "from the host\n" in text and "refused" in text
        assert (directory / "out").read_text() == "from the pod\n"
        until(lambda: any("is not a directory" in e for e in kube.events("no-path")), what="the event of the missing path")
    finally:
        node.run("rm", "-r", "/var/lib/reaper-kube-path")


def test_sub_paths(kube):
    mounts = [mount("work", "/a", subPath="a"), mount("work", "/b", subPathExpr="$(POD)"), mount("work", "/all")]
    kube.make(pod("sub", shell("touch /a/one /b/two; find /all -type f | sort", volumeMounts=mounts,
                               env=[{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
                  volumes=[{"name": "work", "emptyDir": {}}]))  # fmt: skip
    assert kube.ended("sub") == (0, "/all/a/one\n/all/sub/two\n")


def test_a_persistent_volume(kube):
    node = kube.workers[0]
    kube.make(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "reaper-test"},
         "spec": {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "by-hand",
                  "local": {"path": "/var/lib/reaper-kube-volume"},
                  "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                      {"key": "kubernetes.io/hostname", "operator": "In", "values": [node.name]}]}]}}}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim"},
         "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "by-hand", "resources": {"requests": {"storage": "1Mi"}}}},
    )  # fmt: skip
    node.path("/var/lib/reaper-kube-volume").mkdir()
    try:
        for name, script in (("writes", "echo kept > /v/file; id -G"), ("reads", "cat /v/file")):
            kube.make(pod(name, shell(script, volumeMounts=[mount("v", "/v")]), securityContext={"runAsUser": 1000, "fsGroup": 4321},
                          volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}]))  # fmt: skip
            code, text = kube.ended(name)
            assert code == 0, text
        assert text == "kept\n"
        assert "4321" in kube.out("logs", "writes").split()
        assert kube.node_of("reads").name == node.name
    finally:
        kube.kubectl("delete", "pod", "writes", "reads", "--ignore-not-found")
        node.run("rm", "-r", "/var/lib/reaper-kube-volume")


def test_propagation(kube):
    """HostToContainer shows the node's later mounts; Bidirectional gives the pod's to the node."""
    node = kube.workers[0]
    node.path("/var/lib/reaper-kube-shared").mkdir()
    node.run("mount", "--bind", "/var/lib/reaper-kube-shared", "/var/lib/reaper-kube-shared")
    node.run("mount", "--make-shared", "/var/lib/reaper-kube-shared")
    node.run("mkdir", "/var/lib/reaper-kube-shared/host", "/var/lib/reaper-kube-shared/pod")
    volume = [{"name": "h", "hostPath": {"path": "/var/lib/reaper-kube-shared"}}]
    try:
        kube.make(
            pod("sees", shell("until mountpoint -q /h/host; do sleep 0.2; done; until mountpoint -q /h/pod; do sleep 0.2; done; echo both",
                              volumeMounts=[mount("h", "/h", mountPropagation="HostToContainer")]), volumes=volume, nodeName=node.name),
            pod("alone", shell("exec sleep infinity", volumeMounts=[mount("h", "/h")]), volumes=volume, nodeName=node.name),
            pod("gives", shell("mount -t tmpfs none /h/pod; exec sleep infinity", securityContext={"privileged": True},
                               volumeMounts=[mount("h", "/h", mountPropagation="Bidirectional")]), volumes=volume, nodeName=node.name),
        )  # fmt: skip
        for name in ("sees", "alone", "gives"):
            kube.wait(f"pod/{name}", "jsonpath={.status.containerStatuses[0].state.running}")
        node.run("mount", "-t", "tmpfs", "none", "/var/lib/reaper-kube-shared/host")
        assert kube.ended("sees") == (0, "both\n")
        assert node.run("mountpoint", "/var/lib/reaper-kube-shared/pod").returncode == 0
        assert kube.exec("alone", "mountpoint", "/h/host", check=False).returncode != 0
    finally:
        kube.kubectl("delete", "pod", "sees", "alone", "gives", "--ignore-not-found")
        node.run("umount", "-R", "/var/lib/reaper-kube-shared", check=False)
        node.run("rmdir", "/var/lib/reaper-kube-shared/host", "/var/lib/reaper-kube-shared/pod", "/var/lib/reaper-kube-shared")
