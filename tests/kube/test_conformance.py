"""Kubernetes' own tests on a node whose default runtime is Reaper, against a list; see tests/conformance."""

import os
import pathlib
import sys

import pytest

from machine import SOURCE
from trees import remove_tree

sys.path.insert(0, str(SOURCE / "tests" / "conformance"))

import e2e  # noqa: E402
from lists import Expected, judge  # noqa: E402


def out(name):
    logs = pathlib.Path(os.environ.get("REAPER_TEST_LOGS", "/var/tmp/reaper-conformance"))
    directory = logs / "conformance" / f"e2e-{e2e.version()}-{name}"
    if directory.exists():
        remove_tree(directory)
    return directory


def failed(found):
    return sorted(name for name, (outcome, _) in found.items() if outcome != "pass")


def twice(cluster, node, name, chosen, omitted, doubtful):
    """Runs the tests on the node, and what is doubtful then once more: they have time limits, which a machine that does
    something else does not keep."""
    first = out(name)
    found = e2e.run(cluster, node, first, chosen=chosen, omitted=omitted)
    again = doubtful(found)
    if again:
        found.update(e2e.run(cluster, node, out(f"{name}-again"), chosen=again))
        e2e.record(first, found)
    return found


@pytest.mark.full("175 of Kubernetes' own tests, on two nodes when they do not pass; a quarter of an hour, and the build")
def test_kubernetes_own_tests(cluster):
    """The first worker runs them with Reaper, the second with runc what is in doubt: all of it while the list is empty."""
    cluster.ensure_installed()
    expected = Expected("e2e", e2e.version())
    directory = e2e.programs()
    ours, runcs = cluster.workers[:2]
    whole = not expected.outcomes
    with e2e.default_runtime(ours, directory), e2e.images_on(ours, directory, empty=True):
        found = twice(cluster, ours, "reaper", (), expected.omitted(), failed if whole else expected.doubtful)
    doubtful = expected.doubtful(found)
    theirs = {}
    if whole or doubtful:
        with e2e.images_on(runcs, directory, empty=False):
            theirs = twice(cluster, runcs, "runc", () if whole else doubtful, expected.omitted(), failed)
    problems = judge(expected, found, theirs)
    assert not problems, f"{len(problems)} of e2e-{e2e.version()}:\n" + "\n".join(problems)
