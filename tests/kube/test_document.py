"""What users are told to type, word for word, on a cluster of a control plane and two workers."""

import pytest

from installed import CONFIG, GREETING, assert_does_not_serve, assert_serves, file_state, package
from machine import SOURCE

pytestmark = pytest.mark.submission("the first ten minutes of every user")

CLASS = SOURCE / "kubernetes" / "runtimeclass.yaml"


def configs(cluster):
    return {node.name: file_state(node.path(CONFIG)) for node in cluster.nodes.values()}


def started(cluster):
    """When each node's containerd was started."""
    return {node.name: node.run("systemctl", "show", "--value", "-p", "ActiveEnterTimestampMonotonic", "containerd").stdout
            for node in cluster.nodes.values()}  # fmt: skip


def test_dry_run_shows_the_change_of_each_node_and_makes_none(cluster):
    cluster.ensure_absent()
    before, times = configs(cluster), started(cluster)
    result = cluster.install("--package", package(), "--dry-run")
    assert configs(cluster) == before
    assert started(cluster) == times
    assert result.stdout.count('runtime_type = "io.containerd.reaper.v2"') == len(cluster.nodes), result.stdout
    for node in cluster.nodes.values():
        assert node.name in result.stdout
        assert_does_not_serve(node)


def test_install_then_the_example_says_hello(cluster):
    cluster.ensure_absent()
    result = cluster.install("--package", package())
    cluster.installed = True
    assert f"kubectl --context kind-{cluster.name} apply -f kubernetes/runtimeclass.yaml" in result.stderr
    for node in cluster.nodes.values():
        assert_serves(node)
    cluster.wait_for_api()
    cluster.kubectl("apply", "-f", CLASS)
    cluster.phase("reaper-example", "Succeeded")
    assert "Completed" in cluster.out("get", "pods")
    assert cluster.out("logs", "reaper-example") == GREETING + "\n"
    assert "control-plane" not in cluster.node_of("reaper-example").name


def test_a_second_installation_changes_nothing_and_verify_agrees(cluster):
    cluster.ensure_installed()
    before, times = configs(cluster), started(cluster)
    second = cluster.install("--package", package())
    assert second.stdout.count("changed=0") == len(cluster.nodes)
    verified = cluster.install("--verify")
    assert verified.stdout.count("failed=0") == len(cluster.nodes)
    assert configs(cluster) == before
    assert started(cluster) == times


def test_the_cluster_is_well_after_the_installation(cluster):
    cluster.ensure_installed()
    cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s", timeout=180)
    cluster.kubectl("wait", "--for=condition=Ready", "pods", "--all", "-n", "kube-system", "--timeout=120s", timeout=180)
