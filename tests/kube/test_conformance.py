"""Kubernetes' own tests on a node whose default runtime is Reaper, against a list; see tests/conformance."""

import os
import pathlib
import shutil
import sys

import pytest

from machine import SOURCE

sys.path.insert(0, str(SOURCE / "tests" / "conformance"))

import e2e  # noqa: E402
from lists import Expected, judge  # noqa: E402


def out(name):
    logs = pathlib.Path(os.environ.get("REAPER_TEST_LOGS", "/var/tmp/reaper-conformance"))
    directory = logs / "conformance" / f"e2e-{e2e.version()}-{name}"
    shutil.rmtree(directory, ignore_errors=True)
    return directory


def failed(found):
    return sorted(name for name, (outcome, _) in found.items() if outcome != "pass")


@pytest.mark.full("175 of Kubernetes' own tests, on two nodes when they do not pass; a quarter of an hour, and the build")
def test_kubernetes_own_tests(cluster):
    """The first worker runs them with Reaper, the second with runc what is in doubt: all of it while the list is empty."""
    cluster.ensure_installed()
    expected = Expected("e2e", e2e.version())
    directory = e2e.programs()
    ours, runcs = cluster.workers[:2]
    with e2e.default_runtime(ours, directory), e2e.images_on(ours, directory, empty=True):
        first = out("reaper")
        found = e2e.run(cluster, ours, first, omitted=expected.omitted())
        # the tests have time limits, which a machine that does something else does not keep
        again = failed(found) if not expected.outcomes else expected.doubtful(found)
        if again:
            found.update(e2e.run(cluster, ours, out("reaper-again"), chosen=again))
            e2e.record(first, found)
    doubtful = expected.doubtful(found)
    theirs = {}
    if doubtful:
        with e2e.images_on(runcs, directory, empty=False):
            chosen = doubtful if expected.outcomes else ()
            theirs = e2e.run(cluster, runcs, out("runc"), chosen=chosen, omitted=expected.omitted())
    problems = judge(expected, found, theirs)
    assert not problems, f"{len(problems)} of e2e-{e2e.version()}:\n" + "\n".join(problems)
