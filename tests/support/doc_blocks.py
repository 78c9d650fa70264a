"""The command blocks of the pages, and where each of them is run.

A block of commands is fenced as `sh`, and the line above it says where the tests run it:

    <!-- run: ENVIRONMENT [PLACEHOLDER…] -->
    <!-- not run: WHY -->

ENVIRONMENT is one of ENVIRONMENTS. A PLACEHOLDER is a word of the block that its reader replaces; so does the
test. What is not run says so to the reader, too: "not tested by us" stands in a paragraph beside it. The marks
are comments of HTML, so that neither GitHub nor the site shows them.
"""

import dataclasses
import pathlib
import re
import subprocess

TOP = pathlib.Path(__file__).resolve().parent.parent.parent

# name: what the commands find there
ENVIRONMENTS = {
    "try": "this machine, from the top of the checkout; tests/node",
    "checkout": "a copy of the checkout on this machine, with a /usr/local of its own; tests/node",
    "cluster": "the top of the checkout, beside a cluster of one stock node that is called NAME; tests/node",
    "ssh": "a copy of the checkout, beside a stock node that is reached by SSH with inventory.ini; tests/node",
    "node": "a stock node of Debian, in a directory that has the packages; tests/node",
    "installed": "the same node when it has the package; tests/node",
    "programs": "a stock node with the three programs in /usr/local/bin; tests/node",
    "rpm": "a node with an rpm database, dnf and the packages; tests/node",
    "kube": "the top of the checkout, with kubectl and a cluster whose nodes have Reaper; tests/kube",
    "own-cluster": "a copy of the checkout, with Go and a container engine: the commands make a cluster; tests/kube",
    "airgap": "a machine without network, with the air-gap tar: tests/node/test_airgap.py does it in its own words",
    "list": "the top of the checkout, each command with --list: these are the tests themselves; tests/node",
}

# ansible/ has tests of its own
PAGES = ["README.md", "CONTRIBUTING.md", "docs/*.md", "kubernetes/**/*.md", "tests/*/README.md"]

# what a block that begins with these is, whatever it says
PROGRAMS = re.compile(
    r"^(?:\./|\$ ?)?(?:scripts/|ci/|\.ci/|kubectl |reaperctl |reaper-runtime |ctr |crictl |apt|dnf |zypper |docker |cmake "
    r"|journalctl |systemctl |ansible|cp |git |curl |mkdir |runc |sudo |cd |kind |ssh |scp )"
)
MARK = re.compile(r"<!-- (run|not run): (.*) -->$")
FENCE = re.compile(r"^( *)(```+|~~~+)(.*)$")


@dataclasses.dataclass
class Block:
    page: str
    line: int
    language: str
    text: str
    environment: str = ""  # empty: of no command
    placeholders: tuple = ()
    why_not: str = ""


def pages():
    """Names below the top, as the checkout has them."""
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-co", "--exclude-standard", "*.md"], check=True,
                            capture_output=True, text=True).stdout.splitlines()  # fmt: skip
    return sorted(name for name in listed if _matches(name))


def _matches(name):
    patterns = [re.escape(p).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*") for p in PAGES]
    return any(re.fullmatch(p, name) for p in patterns)


def blocks(page, text=None):
    """(blocks, complaints) of one page."""
    lines = (TOP / page).read_text().split("\n") if text is None else text.split("\n")
    found, wrong = [], []
    number = 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if not fence:
            if re.match(r"    +\S", lines[number]) and (number == 0 or not lines[number - 1].strip()) and not _in_list(lines, number):
                wrong.append((number + 1, "an indented block: use a fence with its language"))
                while number < len(lines) and (not lines[number].strip() or lines[number].startswith("    ")):
                    number += 1
                continue
            number += 1
            continue
        begin, indent, marks = number, len(fence[1]), fence[2]
        number += 1
        while number < len(lines) and lines[number].strip() != marks:
            number += 1
        if number == len(lines):
            wrong.append((begin + 1, "a fence that has no end"))
            break
        body = "\n".join(line[indent:] for line in lines[begin + 1 : number])
        number += 1
        block = Block(page, begin + 1, fence[3].strip(), body)
        wrong += [(begin + 1, why) for why in _classify(block, lines, begin, number)]
        found.append(block)
    return found, [f"{page}:{line}: {why}" for line, why in wrong]


def _in_list(lines, number):
    """Whether the paragraph is the rest of an item of a list."""
    for line in reversed(lines[:number]):
        if line.strip() and not line.startswith(" "):
            return bool(re.match(r"([-*+]|\d+\.) ", line))
    return False


def _classify(block, lines, begin, end):
    """Fills in what the mark says; yields what is wrong with it."""
    mark = MARK.match(lines[begin - 1].strip()) if begin else None
    if not block.language:
        yield "a fence without a language: sh for commands, text for what is none"
    if block.language in ("bash", "shell", "console"):
        yield f"a block of commands is called sh here, not {block.language}"
    if block.language != "sh":
        if mark:
            yield "a mark above a block that is not sh"
        if PROGRAMS.match(block.text.strip()):
            yield f"it looks like commands, and is called {block.language or 'nothing'}"
        return
    if not mark:
        yield "commands that no test runs: <!-- run: … --> or <!-- not run: … --> above it (tests/support/doc_blocks.py)"
        return
    if mark[1] == "not run":
        block.why_not = mark[2]
        if "not tested by us" not in _around(lines, begin - 1, end).lower():
            yield 'its reader is not told: a paragraph beside it says "not tested by us"'
        return
    block.environment, *placeholders = mark[2].split()
    block.placeholders = tuple(placeholders)
    if block.environment not in ENVIRONMENTS:
        yield f"{block.environment}: no such environment ({', '.join(ENVIRONMENTS)})"
    for word in block.placeholders:
        if not re.search(_word(word), block.text):
            yield f"{word}: not in the block"


def _word(placeholder):
    return rf"(?<![A-Za-z0-9]){re.escape(placeholder)}(?![A-Za-z0-9])"


def _around(lines, begin, end):
    """The paragraphs before and after."""
    before = begin
    while before and not lines[before - 1].strip():
        before -= 1
    start = before
    while start and lines[start - 1].strip():
        start -= 1
    while end < len(lines) and not lines[end].strip():
        end += 1
    stop = end
    while stop < len(lines) and lines[stop].strip():
        stop += 1
    return " ".join(lines[start:before] + lines[end:stop])


def commands(*environments):
    """The blocks of all pages that are run in these environments, in the pages' order."""
    return [b for page in pages() for b in blocks(page)[0] if b.environment in environments]


def script(each, values):
    """One shell script of blocks, as somebody types them one after the other: what fails ends it, with its place."""
    parts = ["set -eEuo pipefail", "trap 'echo \"failed: $place\" >&2' ERR"]
    for block in each:
        text = block.text
        for word in block.placeholders:
            text = re.sub(_word(word), values[word], text)
        parts += [f"place={block.page}:{block.line}", text]
    return "\n".join(parts) + "\n"
