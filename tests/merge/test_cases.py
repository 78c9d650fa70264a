"""The hard cases of merging, each judged by real daemons: docs/CONFIG-MERGE.md, "Proof"."""

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


@pytest.mark.submission("twelve of them with a daemon that is started: containerd takes in a dump what it refuses at its start")
@pytest.mark.parametrize("case", TWELVE, ids=lambda c: f"{c.number}-{c.quick}")
def test_started(tree, case):
    fill(tree, case.quick, case)
    assert judge.served(case.quick, tree), "a case is chosen whose daemon starts before"
    check(tree, case.quick, case, start=True)
