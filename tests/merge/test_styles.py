"""Any valid TOML that means the same gets the same runtime: the daemon's dump is the judge."""

import random

import pytest
from confmerge import judge
from confmerge.cases import CONFIG, Case
from confmerge.checks import check
from confmerge.ctl import write
from confmerge.styles import Speller, configuration


@pytest.fixture
def tree():
    yield from judge.new_tree()


def spelled(tree, containerd, seed):
    rng = random.Random(seed)
    tables = configuration(rng, rng.choice([2, 3]) if containerd.startswith("2") else 2)
    text = Speller(seed).text(tables)
    write(tree / CONFIG[1:], text)
    # what this release does not take (1.x knows no octal version) must be refused
    outcome = "block" if judge.dump(containerd, tree) else "E_"
    check(tree, containerd, Case(f"seed {seed}", "", {CONFIG: text}, {"": outcome}, quick=containerd))


@pytest.mark.submission("text that nobody thought of, the same one every time")
@pytest.mark.parametrize("containerd, seed", [("1.7", 1), ("1.7", 2), ("2.1", 3), ("2.1", 4)])
def test_some_spellings(tree, containerd, seed):
    spelled(tree, containerd, seed)


@pytest.mark.full("many more of them")
@pytest.mark.parametrize("containerd", judge.VERSIONS)
@pytest.mark.parametrize("seed", range(100, 125))
def test_many_spellings(tree, containerd, seed):
    spelled(tree, containerd, seed)
