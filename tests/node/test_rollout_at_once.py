"""Two roll-outs at once on the same nodes: each node does one thing at a time, and both end well."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from fleet import assert_after, assert_before, assert_whole, files, roll
from installed import package
from machine import SOURCE, comm, descendants
from simulated import Fleet
from waiting import until

sys.path.insert(0, str(SOURCE / "ansible/plugins/plugin_utils"))

import reaper_node  # noqa: E402


class Jobs:
    """The shell of a node that runs jobs, below a directory of its own in place of /run."""

    def __init__(self, top):
        self.run = top / "run"
        (self.run / "lock").mkdir(parents=True)
        self.text = reaper_node.JOBS.replace("/run/", f"{self.run}/")
        self.top = top

    def begin(self, name):
        """A job that says when it is at work, and is so until its pipe has a word."""
        os.mkfifo(self.top / name)
        work = f'touch {self.top}/{name}.at-work; read word <{self.top}/{name}; echo "done $word"'
        return subprocess.Popen(["sh", "-c", self.text + f"""
job_begin package || exit
job_run sh -c '{work}'
rc=$?
cat "$job.answer"
job_end
exit $rc
"""], stdout=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip

    def at_work(self, name):
        return (self.top / f"{name}.at-work").exists()

    def end(self, name, process):
        (self.top / name).write_text(f"{name}\n")
        assert process.communicate(timeout=60)[0] == f"done {name}\n" and process.returncode == 0


def waits_for_a_lock(process):
    until(lambda: "flock" in [comm(pid) for pid in descendants(process.pid)], what="a job that waits")


pytestmark = pytest.mark.submission("two jobs in one package database; milliseconds")


def test_one_job_at_a_time(tmp_path):
    """Also for who comes when another one waits and the first has gone."""
    jobs = Jobs(tmp_path)
    first = jobs.begin("first")
    until(lambda: jobs.at_work("first"), what="the first job")
    second = jobs.begin("second")
    waits_for_a_lock(second)
    jobs.end("first", first)
    until(lambda: jobs.at_work("second"), what="the second job")
    third = jobs.begin("third")
    waits_for_a_lock(third)
    assert not jobs.at_work("third")
    jobs.end("second", second)
    jobs.end("third", third)
    assert sorted(path.name for path in jobs.run.iterdir()) == ["lock"]


def test_the_files_of_who_waits_are_its_own(tmp_path):
    """What a dead caller has left goes with the next job; that of one who waits does not."""
    jobs = Jobs(tmp_path)
    first = jobs.begin("first")
    until(lambda: jobs.at_work("first"), what="the first job")
    files_of = lambda: sorted(path.name for path in (jobs.run / "reaper-job").iterdir())  # noqa: E731
    mine = [name for name in files_of() if name.startswith("package-")]
    assert mine
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    # the job goes on without it
    (tmp_path / "first").write_text("\n")
    until(lambda: f"package-{first.pid}.status" in files_of(), what="the end of the job")
    second = jobs.begin("second")
    until(lambda: jobs.at_work("second"), what="the second job")
    assert not set(mine) & set(files_of())
    third = jobs.begin("third")
    waits_for_a_lock(third)
    assert f"package-{second.pid}.begun" in files_of()
    jobs.end("second", second)
    jobs.end("third", third)
    # one whose caller died before it was at work, too
    (jobs.run / "reaper-job").mkdir()
    (jobs.run / f"reaper-job/containerd-{first.pid}.begun").touch()
    jobs.end("fourth", jobs.begin("fourth"))
    assert sorted(path.name for path in jobs.run.iterdir()) == ["lock"]


# programs of a node that say when they begin to change it and when they end
NOTED = """#!/bin/sh
case " $* " in *" doctor "* | *" --dry-run "*) exec @REAL@ "$@" ;; esac
echo "begin $$ $0 $*" >>/var/lib/noted
@REAL@ "$@"
status=$?
echo "end $$" >>/var/lib/noted
exit "$status"
"""


def note(fleet, *programs):
    for name in fleet.names:
        for program in programs:
            path = fleet.top / name / "bin" / program
            path.rename(path.with_name(path.name + ".real"))
            path.write_text(NOTED.replace("@REAL@", f"{path}.real"))
            path.chmod(0o755)


def overlapping(text):
    """Those that began before the one before them had ended."""
    open_ones, found = [], []
    for line in text.splitlines():
        word, process, *what = line.split(maxsplit=2)
        if word == "begin":
            found += [(what, open_ones[-1])] if open_ones else []
            open_ones.append(process)
        else:
            open_ones.remove(process)
    assert open_ones == []
    return found


@pytest.fixture
def played(tmp_path):
    """played(FLEET, (PLAY, ARGUMENTS)…): each at the same time as the others, in its order."""

    def play(fleet, *calls):
        told = [None] * len(calls)

        def one(number, name, arguments):
            told[number] = fleet.play(name, *arguments, check=False, report=tmp_path / f"report{number}.json")

        threads = [threading.Thread(target=one, args=(number, *call)) for number, call in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return told

    return play


@pytest.mark.full("three roll-outs at the same time; a minute")
def test_three_at_once(tmp_path, played):
    fleet = Fleet(tmp_path / "fleet", 3)
    note(fleet, "apt-get", "reaperctl.real")
    every = ["-e", '{"reaper_serial": ["100%"]}']
    for told in played(fleet, *[("install", every)] * 3):
        assert told["status"] == 0, told["said"][-2000:]
    for name in fleet.names:
        tree = fleet.top / name
        assert (tree / "etc/containerd/config.toml").read_text().count("runtimes.reaper-v2]") == 1
        assert not (tree / "run/reaper-job").exists() and not (tree / "var/lib/reaper/packages/began").exists()
        assert overlapping((tree / "var/lib/noted").read_text()) == []
        assert not list((tree / "run").glob("reaper-put-*"))


@pytest.mark.full("two calls on real nodes, one after the other in the end; a minute")
def test_two_at_once_on_nodes(stock, tmp_path):
    """An installation beside an installation, and a way back beside one: who is last has the last word."""
    nodes = [stock("bookworm"), stock("trixie")]
    before = [files(node, "/etc") for node in nodes]

    def at_once(*calls):
        ended = [None] * len(calls)

        def one(number, arguments):
            ended[number] = roll(nodes[0].cluster, tmp_path / str(number), *arguments, check=False)[0]

        threads = [threading.Thread(target=one, args=call) for call in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ended

    install = ["--package", package(), "--parallel", "2"]
    for result in at_once(install, install):
        assert result.returncode == 0, result.stderr
    for node in nodes:
        assert_after(node)
    for result in at_once(install, ["--uninstall", "--parallel", "2"]):
        # one that finds its package gone says so; none ends without a word
        assert result.returncode == 0 or result.stderr.splitlines()[-1].startswith("install-reaper: error: "), result.stderr
    for node in nodes:
        assert_whole(node)
    roll(nodes[0].cluster, tmp_path / "0", "--uninstall")
    for node, etc in zip(nodes, before):
        assert_before(node, etc)
