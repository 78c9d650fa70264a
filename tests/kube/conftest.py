"""One cluster for the whole tier: made at its first use, and Reaper installed at the first test that needs it."""

import json
import os

import pytest

from kube_cluster import Cluster, Kube, left_behind, traces
from waiting import until


@pytest.fixture(scope="session")
def cluster():
    made = Cluster(f"reaper-test-{os.getpid()}-kube")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def clean_nodes(request, cluster):
    """The cluster serves when the tests of a file begin; when they are over, nothing of their pods may be left on any node.

    A file that restarts the nodes' daemons says so by ADD_ONS_RESTART = True.
    """
    only_ours = getattr(request.module, "ADD_ONS_RESTART", False)
    cluster.ensure_installed()
    cluster.wait_for_add_ons()
    nodes = list(cluster.nodes.values())
    before = {node.name: traces(node) for node in nodes}
    yield
    until(lambda: not json.loads(cluster.out("get", "pods", "-l", "test", "-o", "json"))["items"], limit=120,
          what="the end of the tests' pods")  # fmt: skip
    failures = [f"{node.name}: {line}" for node in nodes for line in left_behind(node, before[node.name], only_ours)]
    if failures:
        pytest.fail("the tests left traces:\n" + "\n".join(failures), pytrace=False)


@pytest.fixture
def kube(cluster, clean_nodes):
    made = Kube(cluster)
    yield made
    made.close()
