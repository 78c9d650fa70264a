"""The reader of manifests against libyaml, of which the reader in kubectl is a translation: it understands the same, or refuses."""

import json
import random
import re
import subprocess

import pytest
import yaml

from machine import BINARIES, SOURCE

DECODER = BINARIES / "tests/support/yaml-decode"

# what the reader is for, and what is next to it
SEEDS = [
    "a: 1\nb:\n- x\n- y: [1, 'two', \"three\\n\"]\n  z: {k: v, \"q\": null}\nc: |\n  one\n\n   two\n  three\nd: >-\n  folded\n  text\n\n  end\n",
    "# head\n---\napiVersion: v1 # why\nkind: Pod\nmetadata:\n    name: web-0\n    labels: {}\nspec:\n    containers:\n    -   name: a\n"
    "        command: [\"sh\", -c, 'it''s']\n        args:\n        - --flag=1\n        - http://x:80/#y\n...\n---\nk: ~\n",
    "- - a\n  - b\n-\n  c: d\n- \n- |+\n  t\n\n-\n  - >\n    u\n     v\n\n    w\n",
    "\"k 1\": 'v'\n'k 2' : \"a\\u00e9\\x41\\tb\"\nq: true\nn: -12\nf: 0.5\ne:\n\nlist:\n- 1\nnext: .5x\n",
    "top: {a: [b, {c: d}],\n  e: f, # why\n  g: [\n  1, 2,\n  ]\n  }\n",
]  # fmt: skip
PIECES = ["a", "b1", "a: ", "b: ", "'k': ", ":", ": ", "- ", "-", "--- ", "---\n", "...\n", "\n", "\n\n", "\n  ", "\n    ", "\n ", " ", "  ", "#", " # c",
          "'", "''", '"', '\\n', "\\", "[", "]", "{", "}", ", ", ",", "|", "|-\n", ">+\n", ">\n", "|\n", "\t", "? ", "?", "&x ", "*x", "!t ", "!!str ", "%",
          "@", "`", "1", "-1", "0", "07", "0x1", "1e3", "1_0", "1:30", "1.5", "1.2.3", ".5", "+1", "yes", "on", "y", "true", "null", "~", "<<", "=",
          "2024-01-01", ".inf", "é", "\u2028", "\x85", "\r", "\x7f", "x y", "x:y", "x#y"]  # fmt: skip


def decode(texts):
    """For each text the list of its documents, or the error."""
    data = b"".join(b"%d\n%s" % (len(t), t) for t in texts)
    lines = subprocess.run([DECODER], input=data, stdout=subprocess.PIPE, check=True, timeout=600).stdout.decode().split("\n")[:-1]
    assert len(lines) == len(texts)
    return [json.loads(line[1:]) if line[0] == "=" else line[1:] for line in lines]


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


def libyaml(text):
    try:
        return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document is not None]
    except (yaml.YAMLError, ValueError) as error:  # ValueError: of a number that is none
        return str(error)


def changed(rng):
    text = rng.choice(SEEDS)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        end = min(end, at + rng.choice([0, 0, 1, 2, 5]))
        text = text[:at] + rng.choice([*PIECES, ""]) + text[end:]
    return text


def made_up(rng):
    return rng.choice(["", "a: ", "a: ", "- a: "]) + "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 10)))


def data(rng, depth=0):
    kind = rng.randint(0, 9 if depth < 4 else 4)
    if kind < 5:
        return rng.choice([None, True, 7, -40, 0.25, "", "x", "two words", "it's", 'a "b"', "k: v", "#no", "tab\there", "é", "yes", "12", "-", "{x",
                           "line\nline\n", "line\n\n  more\nend", "  indented\n", "http://x:80/#y", "--flag=a,b", " blank ", "\\n"])  # fmt: skip
    if kind < 7:
        return [data(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(["a", "b c", "d-e.f/g", "12", "h'", "#i", "é", "true"]): data(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def written(rng):
    """By libyaml, in one of its styles."""
    return yaml.dump({"top": data(rng), "next": data(rng)}, Dumper=yaml.CSafeDumper, width=100000, allow_unicode=True, indent=rng.randint(2, 6),
                     default_flow_style=rng.choice([True, False, None]), default_style=rng.choice([None, None, "'", '"', "|", ">"]),
                     explicit_start=rng.random() < 0.3)  # fmt: skip


def compare(seed, count):
    rng = random.Random(seed)
    texts = [(changed, made_up, written)[i % 3](rng).encode() for i in range(count)]
    accepted = 0
    for text, ours in zip(texts, decode(texts)):
        if isinstance(ours, list):
            accepted += 1
            theirs = libyaml(text)
            assert same(ours, theirs), f"{text!r}: we {ours!r}, libyaml {theirs!r}"
        else:
            assert re.fullmatch(r"input:\d+: [^\n]+", ours), ours
    return accepted


@pytest.mark.submission("a manifest that is read in another way than kubectl reads it makes policy test a liar; seconds")
def test_it_reads_as_libyaml_does_or_refuses():
    assert compare(1, 20000) > 4000


@pytest.mark.full("the same with many more")
def test_it_reads_many_as_libyaml_does_or_refuses():
    assert compare(2, 1000000) > 200000


@pytest.mark.submission("the manifests that are here are read")
def test_every_manifest_here_is_read():
    files = [f for pattern in ("kubernetes/**/*.yaml", "ansible/**/*.yml") for f in sorted(SOURCE.glob(pattern))]
    assert len(files) > 60
    texts = [file.read_bytes() for file in files]
    read = 0
    for file, text, ours in zip(files, texts, decode(texts)):
        if isinstance(ours, list):
            assert same(ours, libyaml(text)), file
            read += 1
        else:
            assert file.relative_to(SOURCE).parts[0] != "kubernetes", f"{file}: {ours}"
    assert read > 40


@pytest.mark.submission("what two readers of YAML take for two things is refused with its line")
@pytest.mark.parametrize("value", """yes no on off y n Y N Yes NO 08 0o17 0x1F 0b1 1_000 1e3 +1 -0 .5 1. 12:30 190:20:30 2024-01-01 .inf -.Inf .nan = <<
                                     &a *a !!str !t @x `x %x ? |2 'a'# [1,2]x""".split())  # fmt: skip
def test_what_is_not_clear_is_refused(value):
    assert decode([f"a: b\nkey: {value}\n".encode()])[0].startswith("input:2: ")
    if re.fullmatch("[a-zA-Z]+|[0-9].*", value):
        assert decode([f"a: b\n{value}: 1\n".encode()])[0].startswith("input:2: ")


@pytest.mark.submission("an error of indentation, a key that is given twice and the like have their line")
@pytest.mark.parametrize("line, text", [
    (2, "a: 1\na: 2\n"), (2, "a:\n\t- b\n"), (3, "a:\n  b: 1\n   c: 2\n"), (2, "a: b\n  c\n"), (3, "a:\n  b: 1\n c: 2\n"),
    (1, "a: b: c\n"), (1, "- a\n"), (1, "text\n"), (1, "a: 'b\n"), (3, "a: [1,\n  2\n"), (2, "a: |\n"), (1, "%YAML 1.2\n---\na: b\n"),
    (1, "a: \"\\q\"\n"), (1, "a: \"\\ud800\"\n"), (1, "a: b\rc: d\n"), (1, "a: {b}\n"), (1, "a: [b: c]\n"), (1, "a: {<<: b}\n"),
    (1, "a: " + "[" * 100 + "]" * 100), (1, "k" * 2000 + ": 1\n"), (2, "a: >\n     \n  b\n"),
])  # fmt: skip
def test_the_line_of_an_error(line, text):
    answer = decode([text.encode()])[0]
    assert isinstance(answer, str) and re.match(f"input:{line}: ", answer), answer
