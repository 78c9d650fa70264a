"""Running a command under tests/support/sysfault (its --help tells what it can do)."""

import functools
import hashlib
import os
import pathlib
import subprocess
import tempfile

from machine import BINARIES, SOURCE, run
from trees import remove_tree

SYSFAULT = BINARIES / "tests/support/sysfault"


class Report:
    """What sysfault said: calls, hit, call, status; and the command's own streams."""

    def __init__(self, result, path):
        self.stdout, self.stderr, self.status = result.stdout, result.stderr, result.returncode
        self.path = path
        self.calls = self.hit = self.call = None
        if path.exists():
            self.read()

    def read(self):
        words = dict(word.split("=", 1) for word in self.path.read_text().split())
        self.calls, self.hit, self.call = int(words["calls"]), int(words["hit"]), words["call"]

    def has_come(self):
        """Of --detach: whether all that was traced has ended."""
        return self.path.exists() and self.path.read_text().endswith("\n")

    def close(self):
        """Of --detach: reads the report, which has come, and removes it."""
        self.read()
        remove_tree(self.path.parent)


@functools.cache
def commit_id():
    result = run(["git", "-C", SOURCE, "rev-parse", "HEAD"], check=False)
    return result.stdout.strip() or "no commit"


def sample(total, count):
    """`count` numbers from 1 to `total`, others for each commit."""
    by_hash = lambda n: hashlib.sha256(f"{commit_id()} {n}".encode()).digest()
    return sorted(sorted(range(1, total + 1), key=by_hash)[:count])


def sysfault(argv, at=None, action=None, call=(), comm=None, follow=False, reap=False, detach=False, list=None,
             script=None, timeout=120, environment=None, text=True, **options):  # fmt: skip
    """Runs argv; `action` is "kill", "run" (then `script`) or the name of an error, done at `at` ("3", or "3+")."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sysfault."))
    report = directory / "report"
    command = [SYSFAULT, "--report", report]
    for name in [call] if isinstance(call, str) else call:
        command += ["--call", name]
    command += ["--comm", comm] if comm else []
    command += ["--list", list] if list else []
    command += [f"--{name}" for name, wanted in [("follow", follow), ("reap", reap), ("detach", detach)] if wanted]
    if action:
        command += ["--at", str(at)] + {"kill": ["--kill"], "run": ["--run", script]}.get(action, ["--errno", action])
    result = subprocess.run(
        [str(word) for word in [*command, "--", *argv]],
        stdin=subprocess.DEVNULL, capture_output=True, text=text, timeout=timeout,
        env={**(environment or os.environ), "LC_ALL": "C"}, **options,
    )  # fmt: skip
    made = Report(result, report)
    if not detach:
        report.unlink(missing_ok=True)
        directory.rmdir()
    return made
