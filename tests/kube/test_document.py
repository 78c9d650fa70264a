"""What users are told to type, word for word, on a cluster of a control plane and two workers."""

import difflib
import json
import re

import pytest

from installed import CONFIG, GREETING, assert_does_not_serve, assert_serves, file_state, package
from machine import SOURCE, comm

pytestmark = pytest.mark.submission("the first ten minutes of every user")

CLASS = SOURCE / "kubernetes" / "runtimeclass.yaml"


def configs(cluster):
    return {node.name: file_state(node.path(CONFIG)) for node in cluster.nodes.values()}


def started(cluster):
    """When each node's containerd was started."""
    return {node.name: node.run("systemctl", "show", "--value", "-p", "ActiveEnterTimestampMonotonic", "containerd").stdout
            for node in cluster.nodes.values()}  # fmt: skip


def shims(node):
    """A pod of any runtime has one."""
    return sum(comm(pid) == "containerd-shim" for pid in node.processes())


def difference(before, after):
    """The lines that go and come, as `diff -u` marks them."""
    lines = difflib.unified_diff(before.decode().splitlines(), after.decode().splitlines(), n=0, lineterm="")
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


@pytest.fixture(scope="module")
def said_before(cluster, tmp_path_factory):
    """A dry run on a cluster whose nodes run pods: what it printed, its report of each node, and what the nodes were before."""
    cluster.ensure_absent()
    cluster.wait_for_add_ons()
    work = tmp_path_factory.mktemp("dry-run")
    before = configs(cluster), started(cluster)
    pods = [shims(node) for node in cluster.nodes.values()]
    result = cluster.install("--package", package(), "--dry-run", "--report", work)
    # a pod that ends takes its time, and an add-on may come later
    pods = {node.name: sorted((count, shims(node))) for node, count in zip(cluster.nodes.values(), pods)}
    (report,) = work.glob("*.json")
    return result.stdout, {each["node"]: each for each in json.loads(report.read_text())["nodes"]}, *before, pods


def test_dry_run_shows_the_change_of_each_node_and_makes_none(cluster, said_before):
    printed, nodes, before, times, pods = said_before
    assert configs(cluster) == before
    assert started(cluster) == times
    assert printed.count('runtime_type = "io.containerd.reaper.v2"') == len(cluster.nodes), printed
    for node in cluster.nodes.values():
        (kept,) = re.findall(rf"^\[./{len(cluster.nodes)}\] {node.name}: .*, containerd restarts: yes, pods kept: (\d+), ", printed, re.M)
        low, high = pods[node.name]
        assert 0 < low <= int(kept) <= high
        assert nodes[node.name]["diff"] and nodes[node.name]["diff"] in printed
        assert_does_not_serve(node)


def test_install_then_the_example_says_hello(cluster, said_before):
    cluster.ensure_absent()
    result = cluster.install("--package", package())
    cluster.installed = True
    assert f"kubectl --context kind-{cluster.name} apply -f kubernetes/runtimeclass.yaml" in result.stderr
    _, foretold, before, _, _ = said_before
    for node in cluster.nodes.values():
        assert_serves(node)
        came = difference(before[node.name][0], node.path(CONFIG).read_bytes())
        assert came == [line for line in foretold[node.name]["diff"].splitlines()[2:] if line[:1] in ("+", "-")]
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
    # which of the overlays is active is the last word, and each node says that it has no door of its own
    assert second.stderr.splitlines()[-1].startswith("install-reaper: RuntimeClass reaper-v2 is there, open: ")
    for node in cluster.nodes.values():
        assert re.search(r"ok +policy .*\n +open: no rule denies anything", node.reaperctl("doctor").stdout)
    verified = cluster.install("--verify")
    assert verified.stdout.count("failed=0") == len(cluster.nodes)
    assert configs(cluster) == before
    assert started(cluster) == times


def test_the_cluster_is_well_after_the_installation(cluster):
    cluster.ensure_installed()
    cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s", timeout=180)
    cluster.kubectl("wait", "--for=condition=Ready", "pods", "--all", "-n", "kube-system", "--timeout=120s", timeout=180)
