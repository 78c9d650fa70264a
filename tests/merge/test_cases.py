"""The hard cases of merging, each judged by real daemons: docs/CONFIG-MERGE.md, "Proof"."""

import pytest
from confmerge import judge
from confmerge.cases import CASES
from confmerge.checks import check, expected


@pytest.fixture
def tree():
    yield from judge.new_tree()


QUICK = [c for c in CASES if c.quick]
PAIRS = [(c, v) for c in CASES for v in judge.VERSIONS if expected(c, v) and v != c.quick]


@pytest.mark.submission("the cases that broke other installers, each with the version it hurts most")
@pytest.mark.parametrize("case", QUICK, ids=lambda c: f"{c.number}-{c.quick}")
def test_case(tree, case):
    check(tree, case.quick, case)


@pytest.mark.full("every other pair of case and version")
@pytest.mark.parametrize("case, version", PAIRS, ids=[f"{c.number}-{v}" for c, v in PAIRS])
def test_pair(tree, case, version):
    check(tree, version, case)
