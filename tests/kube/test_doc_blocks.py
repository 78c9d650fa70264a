"""The commands of the pages that want a cluster, typed as they stand: those of one page in one go."""

import os

import pytest

import doc_blocks
from machine import SOURCE, run
from waiting import until

SAID = {
    "README.md": ["Hello from Reaper runtime!"],
    "docs/INSTALL.md": ["Hello from Reaper runtime!"],
    "kubernetes/README.md": ["Hello from Reaper runtime!", "PRETTY_NAME=", "reaper.runtime/policy=production", "node.kubernetes.io"],
}
MADE = ["pod/reaper-example", "pod/reaper-shell", "runtimeclass/reaper-v2"]


def pages(environment):
    found = {}
    for block in doc_blocks.commands(environment):
        found.setdefault(block.page, []).append(block)
    return [pytest.param(blocks, id=page) for page, blocks in found.items()]


def typed(blocks, environment, values, directory=SOURCE):
    result = run(["bash", "-c", doc_blocks.script(blocks, values)], check=False, timeout=3600, cwd=directory, env=environment)
    said = result.stdout + result.stderr
    assert result.returncode == 0, said[-6000:]
    for words in SAID.get(blocks[0].page, []):
        assert words in said, f"{words!r} was not said:\n{said[-6000:]}"


@pytest.mark.submission("what a page says first has to work; twenty seconds")
@pytest.mark.parametrize("blocks", pages("kube"))
def test_with_kubectl(cluster, blocks):
    cluster.ensure_installed()
    cluster.kubectl("delete", "--ignore-not-found", *MADE)
    cluster.kubectl("create", "namespace", "reaper-doc-team")
    try:
        typed(blocks, cluster.environment(), {"TEAM": "reaper-doc-team"})
    finally:
        cluster.kubectl("delete", "namespace", "reaper-doc-team")
        cluster.kubectl("delete", "--ignore-not-found", "-k", SOURCE / "kubernetes/overlays/production")
        cluster.kubectl("delete", "--ignore-not-found", *MADE[:2])
        # a policy is in force for a moment longer than it is there
        until(lambda: cluster.kubectl("apply", "-f", SOURCE / "kubernetes" / "runtimeclass.yaml", check=False).returncode == 0,
              what="the open class")  # fmt: skip


@pytest.mark.full("makes and deletes a cluster of its own; ten minutes")
@pytest.mark.parametrize("blocks", pages("own-cluster"))
def test_with_a_cluster_of_its_own(blocks):
    name = f"reaper-test-{os.getpid()}-docs"
    try:
        typed(blocks, dict(os.environ), {"mine": name})
    finally:
        run([SOURCE / "ci/kube/cluster.sh", "delete", name], check=False, timeout=300)
