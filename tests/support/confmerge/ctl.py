"""reaperctl on a tree of files, and what a run must leave of it."""

import json
import os
import pathlib
import subprocess

from . import judge

REAPERCTL = pathlib.Path(os.environ.get("REAPER_BINARIES", "build")) / "reaperctl"
STATE = "var/lib/reaper"
# containerd 2.1 and 2.2 need four seconds of a processor for one dump of a megabyte, and a call asks for up to four
LIMIT = 900
DECIDES = ("--strict", "--allow-unversioned")  # not options of undo


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def fill(tree, version, case):
    for name, text in case.files.items():
        if isinstance(text, str) and text.startswith("@"):
            text = judge.default(version) if text == "@default" else corpus(text[1:])
        write(tree / name[1:], text)
        (tree / name[1:]).chmod(0o640)
    for name, target in case.links.items():
        (tree / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tree / name[1:]).symlink_to(target)


def corpus(name):
    return (judge.ROOT / f"tests/data/containerd/corpus/{name}.toml").read_bytes()


class Ctl:
    """Calls the program with --root and that version's containerd; gives (status, JSON answer)."""

    def __init__(self, tree, version, args=()):
        self.common = ["--root", tree, "--containerd", judge.program(version), *args]

    def argv(self, verb, *args):
        common = self.common
        if verb == "undo":
            common = [a for i, a in enumerate(common) if a not in (*DECIDES, "--strategy")
                      and common[i - 1] != "--strategy"]  # fmt: skip
        return [str(a) for a in (REAPERCTL, "containerd", verb, *common, *args)]

    def __call__(self, verb, *args):
        result = subprocess.run(self.argv(verb, "--json", *args), capture_output=True, timeout=LIMIT)
        assert result.stdout, (verb, result.returncode, result.stderr)
        return result.returncode, json.loads(result.stdout)

    def text(self, verb, *args, **options):
        return subprocess.run(self.argv(verb, *args), capture_output=True, timeout=LIMIT, text=True, **options)

    def must(self, verb, reason, *args):
        status, said = self(verb, *args)
        assert said["reason"] == reason, said
        assert status == (0 if not reason.startswith("E_") else status), said
        return said
