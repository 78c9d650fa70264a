"""Any valid TOML that means the same gets the same runtime: the daemon's dump is the judge."""

import random
import tomllib

import pytest
from confmerge import judge
from confmerge.cases import CONFIG, Case
from confmerge.checks import changed, check, check_any, refused
from confmerge.ctl import Ctl, write
from confmerge.respell import Respeller
from confmerge.styles import Speller, configuration

FIELD = sorted((judge.ROOT / "tests/data/containerd/field").glob("*.toml"))
CORPUS = ["stock", "kind", "nvidia-default", "v3", "v3-crun", "v2-with-v3-images", "v2-with-v3-names", "zfs", "disabled-other"]
BASES = FIELD + [judge.ROOT / f"tests/data/containerd/corpus/{name}.toml" for name in CORPUS]


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


# --- several files ---

PATTERNS = ["/etc/containerd/conf.d/*.toml", "/etc/containerd/../containerd/sub/*/x.toml", "./extra.toml", "sub/*/*.toml", "/etc/containerd/none.d/*"]
IMPORTED = ["etc/containerd/conf.d/10-a.toml", "etc/containerd/conf.d/99-nvidia.toml", "etc/containerd/sub/h/x.toml"]


def imported(tree, containerd, seed):
    """A root and what it imports, by patterns that some releases look for elsewhere."""
    rng = random.Random(seed)
    version = rng.choice([2, 3]) if containerd.startswith("2") else 2
    tables = configuration(rng, version)
    tables[()]["imports"] = ["conf.d/*.toml", *rng.sample(PATTERNS, rng.randint(0, 3))]
    write(tree / CONFIG[1:], Speller(seed).text(tables))
    write(tree / "etc/containerd/extra.toml", f"version = {version}\n")
    for number, name in enumerate(rng.sample(IMPORTED, rng.randint(1, 3))):
        write(tree / name, Speller(seed + number).text(configuration(rng, version)))
    ctl = Ctl(tree, containerd)
    status, planned = ctl("plan")
    if status == 10:
        changed(ctl, tree, containerd, Case("imported", "", {}, {}, quick=""), "block or drop-in")
        return
    refused(ctl, tree, "E_")
    assert not judge.dump(containerd, tree) or planned["reason"] == "E_BASELINE_UNHEALTHY", planned


@pytest.mark.submission("which of them counts, by what the release reads")
@pytest.mark.parametrize("containerd, seed", [("1.6", 3000), ("1.7", 3001), ("2.1", 3002)])
def test_imported(tree, containerd, seed):
    imported(tree, containerd, seed)


@pytest.mark.full("many more of them")
@pytest.mark.parametrize("containerd", judge.VERSIONS)
@pytest.mark.parametrize("seed", range(3100, 3120))
def test_imported_many(tree, containerd, seed):
    imported(tree, containerd, seed)


# --- configurations as tools and clouds write them ---


@pytest.mark.submission("what the tools of the field write, as they write it")
@pytest.mark.parametrize("name", [p.stem for p in FIELD])
def test_field(tree, name):
    text = (judge.ROOT / f"tests/data/containerd/field/{name}.toml").read_bytes()
    check_any(tree, "1.7" if tomllib.loads(text.decode())["version"] == 2 else "2.1", text)


@pytest.mark.full("and with every other containerd")
@pytest.mark.parametrize("containerd", judge.VERSIONS)
@pytest.mark.parametrize("name", [p.stem for p in FIELD])
def test_field_everywhere(tree, name, containerd):
    check_any(tree, containerd, (judge.ROOT / f"tests/data/containerd/field/{name}.toml").read_bytes())


def respelled(tree, containerd, seed):
    """Even seeds stay near to what people write, odd ones use all that TOML allows."""
    base = random.Random(seed).choice([*BASES, None])
    document = tomllib.loads(base.read_text() if base else judge.default(containerd))
    if containerd.startswith("1") and document["version"] > 2:
        document = tomllib.loads((judge.ROOT / "tests/data/containerd/corpus/stock.toml").read_text())
    check_any(tree, containerd, Respeller(seed, odd=seed % 2 == 1).text(document))


@pytest.mark.submission("the same files in words that nobody thought of, the same ones every time")
@pytest.mark.parametrize("containerd, seed", [("1.6", 1000), ("1.7", 1001), ("1.7", 1002), ("2.1", 1003), ("2.1", 1004)])
def test_respelled(tree, containerd, seed):
    respelled(tree, containerd, seed)


@pytest.mark.full("many more of them")
@pytest.mark.parametrize("containerd", judge.VERSIONS)
@pytest.mark.parametrize("seed", range(2000, 2040))
def test_respelled_many(tree, containerd, seed):
    respelled(tree, containerd, seed)
