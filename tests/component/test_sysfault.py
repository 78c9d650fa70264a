"""tests/support/sysfault does exactly what it is asked for: other tests believe it."""

import os
import signal

import pytest

from faults import SYSFAULT, sysfault
from machine import run
from waiting import until

MKDIR = ["mkdir", "mkdirat"]
pytestmark = pytest.mark.submission("a fault that is not made where it should be proves nothing")


def names(directory):
    return sorted(entry.name for entry in directory.iterdir())


def test_counts_the_same_calls_each_time(tmp_path):
    first, second = (sysfault(["/bin/true"], list=tmp_path / "list") for _ in range(2))
    assert first.calls == second.calls > 5
    lines = (tmp_path / "list").read_text().splitlines()
    assert len(lines) == first.calls
    assert lines[-1].split()[2] == "exit_group"


def test_kills_before_the_call_is_made(tmp_path):
    report = sysfault(["mkdir", "a", "b", "c"], call=MKDIR, at="2", action="kill", cwd=tmp_path)
    assert (report.status, report.hit, report.call in MKDIR) == (128 + signal.SIGKILL, 2, True)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("at, made", [("2", ["a", "c"]), ("2+", ["a"])])
def test_makes_a_call_fail(tmp_path, at, made):
    report = sysfault(["mkdir", "a", "b", "c"], call=MKDIR, at=at, action="ENOSPC", cwd=tmp_path)
    assert report.status == 1
    assert "No space left on device" in report.stderr
    assert names(tmp_path) == made


def test_every_number_is_another_call(tmp_path):
    total = sysfault(["mkdir", "first"], cwd=tmp_path).calls
    seen = [sysfault(["mkdir", f"d{n}"], at=str(n), action="kill", cwd=tmp_path).hit for n in range(1, total + 1)]
    assert seen == list(range(1, total + 1))
    # made by mkdir(2) itself, and by nothing before it
    assert 1 <= len(names(tmp_path)) - 1 < total


def test_follows_descendants_when_asked_to(tmp_path):
    command = ["sh", "-c", "mkdir a b; mkdir c; touch d"]
    assert sysfault(command, call=MKDIR, cwd=tmp_path).calls == 0
    for name in "abcd":
        (tmp_path / name).is_dir() and (tmp_path / name).rmdir()
    report = sysfault(command, call=MKDIR, comm="mkdir", follow=True, at="3", action="EIO", cwd=tmp_path)
    assert report.calls == report.hit == 3
    assert names(tmp_path) == ["a", "b", "d"]


def test_runs_a_script_in_between(tmp_path):
    script = "ls > seen; rmdir a; mkdir b"
    report = sysfault(["mkdir", "a", "b"], call=MKDIR, at="2", action="run", script=script, cwd=tmp_path)
    assert (tmp_path / "seen").read_text() == "a\nseen\n"
    assert report.status == 1
    assert "File exists" in report.stderr
    assert names(tmp_path) == ["b", "seen"]


def test_waits_for_what_was_left_behind(tmp_path):
    report = sysfault(["sh", "-c", "(sleep 0.3; mkdir late) & exit 3"], reap=True, cwd=tmp_path)
    assert report.status == 3
    assert names(tmp_path) == ["late"]


def test_goes_on_in_the_background(tmp_path):
    os.mkfifo(tmp_path / "gate")
    command = ["sh", "-c", "(read x <gate; mkdir a; mkdir b) >/dev/null 2>&1 & exit 3"]
    report = sysfault(command, call=MKDIR, follow=True, detach=True, at="2", action="kill", cwd=tmp_path)
    assert report.status == 3
    (tmp_path / "gate").write_text("go\n")
    until(report.has_come, what="the report")
    report.close()
    assert report.hit == 2 and report.call in MKDIR
    assert names(tmp_path) == ["a", "gate"]


def test_says_what_it_cannot_do():
    for argv, word in [
        (["--at", "0", "--kill", "true"], "0"),
        (["--at", "1", "true"], "--at"),
        (["--kill", "true"], "--at"),
        (["--call", "nosuch", "true"], "nosuch"),
        (["--errno", "ENOSUCH", "--at", "1", "true"], "ENOSUCH"),
        ([], "COMMAND"),
    ]:
        result = run([SYSFAULT, *argv], check=False)
        assert result.returncode == 125
        assert result.stderr.startswith(f"sysfault: {word}: ")
    assert run([SYSFAULT, "/nonexistent"], check=False).returncode == 127
