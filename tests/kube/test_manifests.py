"""kubernetes/: every manifest against a real API server, and what the policies let through."""

import json

import pytest
import yaml

from kube_cluster import namespace, pod, shell
from machine import SOURCE
from waiting import until

pytestmark = pytest.mark.submission("who may use the class is the site's first question")

MANIFESTS = SOURCE / "kubernetes"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
SAFE = {"runAsNonRoot": True, "runAsUser": 1000, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_takes_each_overlay(cluster, overlay):
    result = cluster.kubectl("apply", "--dry-run=server", "-k", MANIFESTS / "overlays" / overlay)
    assert "(server dry run)" in result.stdout
    assert "Warning" not in result.stderr, result.stderr


@pytest.mark.parametrize("name", sorted(path.name for path in MANIFESTS.glob("*.yaml")))
def test_the_api_server_takes_each_file(cluster, name):
    cluster.kubectl("apply", "--dry-run=server", "-f", MANIFESTS / name)


def test_the_overlay_kind_is_what_users_apply(cluster):
    ours = list(yaml.safe_load_all((MANIFESTS / "runtimeclass.yaml").read_text()))
    built = list(yaml.safe_load_all(cluster.out("kustomize", MANIFESTS / "overlays" / "kind")))
    assert sorted(built, key=lambda o: o["kind"]) == sorted(ours, key=lambda o: o["kind"])


@pytest.fixture
def overlay(kube):
    """overlay(NAME) applies one; the open class is back afterwards."""
    applied = []

    def apply(name):
        kube.kubectl("delete", "-f", MANIFESTS / "runtimeclass.yaml", "--ignore-not-found")
        kube.kubectl("apply", "-k", MANIFESTS / "overlays" / name)
        applied.append(name)

    yield apply
    for name in applied:
        kube.kubectl("delete", "-k", MANIFESTS / "overlays" / name)
    # a policy is in force for a moment longer than it is there
    until(lambda: kube.kubectl("apply", "-f", MANIFESTS / "runtimeclass.yaml", check=False).returncode == 0, what="the open class")
    kube.kubectl("delete", "pod", "reaper-example")


def tried(kube, where, made, *flags):
    """What the API server says to a pod; it is not made."""
    text = json.dumps({**made, "metadata": {**made["metadata"], "namespace": where}})
    result = kube.kubectl("create", "--dry-run=server", *flags, "-f", "-", input=text, check=False)
    return result.returncode == 0, result.stderr


def test_production_asks_for_a_node_and_a_namespace(kube, overlay):
    overlay("production")
    kube.make(namespace("reaper-in", allowed="true"), namespace("reaper-out"))
    kube.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "reaper-in", "--timeout=60s")
    made = pod("allowed", shell("echo in"))
    # a policy is not in force the moment it is made
    until(lambda: not tried(kube, "reaper-out", made)[0], what="the policy")
    refused, why = tried(kube, "reaper-out", made)
    assert not refused
    assert "kubectl label namespace reaper-out reaper.runtime/allowed=true" in why
    ordinary = pod("ordinary", shell("true"))
    del ordinary["spec"]["runtimeClassName"]
    assert tried(kube, "reaper-out", ordinary)[0], "pods of other classes are none of its business"

    # the installation has labelled the nodes that it has verified; in a namespace that was let in, a pod waits for one of them
    labelled = kube.out("get", "nodes", "-l", "reaper.runtime/ready=true", "-o", "name").split()
    assert sorted(labelled) == sorted(f"node/{name}" for name in kube.nodes)
    kube.kubectl("label", "nodes", "--all", "reaper.runtime/ready-")
    made["metadata"]["namespace"] = "reaper-in"
    kube.make(made)
    until(lambda: "didn't match" in kube.out("describe", "pod", "allowed", "-n", "reaper-in"), limit=60, what="the scheduler's word")
    node = kube.workers[0].name
    kube.kubectl("label", "node", node, "reaper.runtime/ready=true")
    try:
        kube.kubectl("wait", "-n", "reaper-in", "--for=jsonpath={.status.phase}=Succeeded", "pod/allowed", "--timeout=90s")
        found = json.loads(kube.out("get", "pod", "allowed", "-n", "reaper-in", "-o", "json"))
        assert found["spec"]["nodeName"] == node
        assert found["spec"]["overhead"] == {"memory": "4Mi"}
    finally:
        kube.kubectl("label", "nodes", "--all", "--overwrite", "reaper.runtime/ready=true")


@pytest.mark.full("asks each node; half a minute each")
@pytest.mark.parametrize(("name", "words"), [("production", "whose pods may be root"), ("restricted", "pods without root or host namespaces")])
def test_the_installer_tells_which_is_active(kube, overlay, name, words):
    overlay(name)
    told = kube.install("--verify").stderr.splitlines()[-1]
    assert told == f"install-reaper: RuntimeClass reaper-v2 is there, {name}: allowed namespaces, {words}"


@pytest.mark.full("the roles and the fields, half a minute each")
def test_production_decides_who_may_let_a_namespace_in(kube, overlay):
    overlay("production")
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"},
               "subjects": [{"kind": "User", "name": "eve"}]}  # fmt: skip
    edits = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reaper-test-edits"},
             "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "patch", "update"]}]}  # fmt: skip
    kube.make(namespace("reaper-plain"), edits,
              {**binding, "metadata": {"name": "reaper-test-edits"}, "roleRef": {**binding["roleRef"], "name": "reaper-test-edits"}})  # fmt: skip
    label = ["label", "namespace", "reaper-plain", "--as=eve", "--dry-run=server"]
    until(lambda: kube.kubectl(*label, "other=label", check=False).returncode == 0, what="eve's role")
    until(lambda: kube.kubectl(*label, "reaper.runtime/allowed=true", check=False).returncode != 0, what="the policy")
    assert "may not set labels" in kube.kubectl(*label, "reaper.runtime/allowed=true", check=False).stderr
    kube.make({**binding, "metadata": {"name": "reaper-test-allows"}, "roleRef": {**binding["roleRef"], "name": "reaper-namespaces"}})
    until(lambda: kube.kubectl(*label, "reaper.runtime/allowed=true", check=False).returncode == 0, what="eve's second role")


@pytest.mark.full("the roles and the fields, half a minute each")
def test_restricted_takes_ordinary_processes_only(kube, overlay):
    overlay("restricted")
    kube.make(namespace("reaper-safe", allowed="true"), namespace("reaper-free", allowed="true", unrestricted="true"))
    for name in ("reaper-safe", "reaper-free"):
        kube.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=60s")
    good = pod("good", shell("true", securityContext=SAFE))
    bad = {
        "runAsNonRoot": pod("bad", shell("true", securityContext={**SAFE, "runAsUser": 0})),
        "allowPrivilegeEscalation": pod("bad", shell("true", securityContext={**SAFE, "allowPrivilegeEscalation": True})),
        "capabilities": pod("bad", shell("true", securityContext={**SAFE, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}})),
        "hostPID": pod("bad", shell("true", securityContext=SAFE), hostPID=True),
        "hostPath": pod("bad", shell("true", securityContext=SAFE), volumes=[{"name": "h", "hostPath": {"path": "/"}}]),
        "each container": pod("bad", shell("true", securityContext=SAFE), initContainers=[shell("true", name="init")]),
    }
    until(lambda: not tried(kube, "reaper-safe", bad["hostPath"])[0], what="the policy")
    assert tried(kube, "reaper-safe", good)[0], tried(kube, "reaper-safe", good)[1]
    for word, made in bad.items():
        allowed, why = tried(kube, "reaper-safe", made)
        assert not allowed and word in why, (word, why)
        assert tried(kube, "reaper-free", made)[0], word
