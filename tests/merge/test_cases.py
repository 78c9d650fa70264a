"""The hard cases of merging, each judged by real daemons: docs/CONFIG-MERGE.md, "Proof"."""

import dataclasses

import pytest
from confmerge import judge
from confmerge.cases import CASES
from confmerge.checks import check, expected
from confmerge.ctl import fill


@pytest.fixture
def tree():
    yield from judge.new_tree()


QUICK = [c for c in CASES if c.quick]
CHOSEN = ["001", "003", "006", "007", "013a", "026", "031", "032", "034", "037", "041", "097"]
TWELVE = [c for c in QUICK if c.number in CHOSEN]
PAIRS = [(c, v) for c in CASES for v in judge.VERSIONS if expected(c, v) and v != c.quick]


@pytest.mark.submission("the cases that broke other installers, each with the version it hurts most")
@pytest.mark.parametrize("case", QUICK, ids=lambda c: f"{c.number}-{c.quick}")
def test_case(tree, case):
    check(tree, case.quick, case)


@pytest.mark.full("every other pair of case and version; a daemon is started with each result")
@pytest.mark.parametrize("case, version", PAIRS, ids=[f"{c.number}-{v}" for c, v in PAIRS])
def test_pair(tree, case, version):
    check(tree, version, case, start=True)


@pytest.mark.full("the cases of every change, with a daemon")
@pytest.mark.parametrize("case", QUICK, ids=lambda c: f"{c.number}-{c.quick}")
def test_case_started(tree, case):
    check(tree, case.quick, case, start=True)


@pytest.mark.full("fetches a containerd that nothing else needs")
@pytest.mark.parametrize("number", ["001", "024", "026", "034", "037", "041"])
def test_004_the_first_that_reads_version_2(tree, number):
    """containerd 1.4 keeps its built-in runc beside a runtimes table, so the block has our runtime alone. Its
    CRI plugin is of a time before the calls that a started daemon is asked by."""
    (case,) = (c for c in CASES if c.number == number)
    outcome = "create" if number == "026" else "block"
    check(tree, judge.OLDEST, dataclasses.replace(case, expect={judge.OLDEST: outcome}, quick=""))


@pytest.mark.submission("twelve of them with a daemon that is started: containerd takes in a dump what it refuses at its start")
@pytest.mark.parametrize("case", TWELVE, ids=lambda c: f"{c.number}-{c.quick}")
def test_started(tree, case):
    fill(tree, case.quick, case)
    assert judge.served(case.quick, tree), "a case is chosen whose daemon starts before"
    check(tree, case.quick, case, start=True)
