"""scripts/install-reaper.sh is run on a Mac, whose bash is 3.2. Debian has none, so what that one cannot do is looked for in the text."""

import re

import pytest

from machine import SOURCE, run

pytestmark = pytest.mark.submission("who has a Mac finds it out else; milliseconds")

# what bash has had since 4.0 or later, and a line that has it
TOO_NEW = {
    "associative arrays, references, globals": (r"\b(declare|local|typeset)\s+-\w*[Ang]", "local -A seen"),
    "upper and lower case": (r"\$\{\w+(\[[^]]*\])?[,^]", 'say "${name,,}"'),
    "mapfile": (r"\b(mapfile|readarray)\b", "mapfile -t lines <file"),
    "both outputs, appended": (r"&>>", "call &>>log"),
    "both outputs into a pipe": (r"\|&", "call |& grep x"),
    "case that falls through": (r";;?&", "a) say b ;;&"),
    "an index from the end": (r"\$\{\w+\[\s*-\d", 'say "${list[-1]}"'),
    "a length from the end": (r"\$\{\w+:[^}:]*:\s*-\d", 'say "${name:0:-1}"'),
    "wait for any child": (r"\bwait\s+-\w*[nfp]", "wait -n"),
    "printf into an array": (r"printf\s+-v\s*\w+\[", "printf -v list[0] x"),
    "printf of a time": (r"%\([^)]*\)T", "printf '%(%s)T' -1"),
    "variables": (r"\b(EPOCHSECONDS|EPOCHREALTIME|BASHPID|SRANDOM|BASH_ARGV0)\b", "say $EPOCHSECONDS"),
    "coproc": (r"\bcoproc\b", "coproc cat"),
    "whether a variable is set": (r"(\[\[?|\btest)\s+(! )?-[vR]\s", "[[ -v name ]]"),
    "a descriptor of its own choice": (r"\{\w+\}(<|>)", "exec {fd}<file"),
    "transformations": (r"\$\{[\w@*]+(\[[@*]\])?@\w\}", 'say "${name@Q}"'),
    "options of the shell": (r"shopt\s+-s.*\b(globstar|lastpipe|inherit_errexit|dirspell|autocd|localvar_inherit)\b", "shopt -s globstar"),
    "ranges with zeros or a step": (r"\{0\d+\.\.|\{-?\w+\.\.-?\w+\.\.", "for i in {01..10}; do :; done"),
    "characters by number": (r"\$'[^']*\\[uU]", "say $'\\u2026'"),
    "options of read": (r"\bread\s+(-\w+\s+)*-\w*[Ni]|\bread\b.*-t\s*\d*\.\d", "read -r -N 1 key"),
    "all of an array that may be empty, under set -u": (r"\$\{\w+\[[@*]\]\}", 'call "${list[@]}"'),
    "case within $()": (r"\$\([^()]*\bcase\b", "x=$(case y in y) echo z ;; esac)"),
    "a quoted expression behind =~": (r"=~\s*[\"']", '[[ $x =~ "a.*" ]]'),
}
# of the scripts that people type, those that need no Debian
SCRIPTS = ["install-reaper.sh", "configure-containerd.sh"]


def found(text):
    code = re.sub(r"^\s*#.*", "", text, flags=re.MULTILINE)
    return [f"line {code.count(chr(10), 0, hit.start()) + 1}: {name}: {hit.group()}"
            for name, (pattern, _) in TOO_NEW.items() for hit in re.finditer(pattern, code)]  # fmt: skip


@pytest.mark.parametrize("name", TOO_NEW)
def test_the_list_finds_it(name):
    pattern, example = TOO_NEW[name]
    assert re.search(pattern, example)
    assert any(f": {name}: " in line for line in found(f"#!/bin/bash\n{example}\n"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_that_bash_3_2_lacks(script):
    path = SOURCE / "scripts" / script
    assert path.read_text().startswith("#!/bin/bash\n")
    assert found(path.read_text()) == []
    run(["bash", "-n", path])
