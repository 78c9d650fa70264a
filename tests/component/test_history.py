"""The flight recorder: what has run here is known afterwards, whatever became of the shim; secrets are not."""

import json
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from bench import POD, exec_spec, give_up
from machine import BINARIES
from ttrpc import RpcError
from waiting import until

pytestmark = pytest.mark.submission("an audit trail with a hole or a password in it is worse than none; milliseconds")


def records(bench):
    path = pathlib.Path(bench.settings["REAPER_HISTORY_FILE"])
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def history(bench, *options):
    return subprocess.run([str(BINARIES / "reaperctl"), "history", *options], env=bench.environment(),
                          capture_output=True, text=True)  # fmt: skip


def test_one_record_for_each_start_exec_and_end(bench):
    c = bench.container("/bin/sh", "-c", "echo --password=hunter2 >/dev/null; exec sleep 600", annotations=POD,
                        process={"user": {"uid": 65534, "gid": 65534}, "env": ["PATH=/usr/bin:/bin", "KEY=never-told"],
                                 "capabilities": {}})  # fmt: skip
    pid = c.create()
    c.call("Start")
    c.call("Exec", exec_id="e", spec=exec_spec("/bin/sh", "-c", "exit 3", user={"uid": 0, "gid": 0}))
    c.call("Start", exec_id="e")
    c.call("Wait", exec_id="e")
    c.call("Delete", exec_id="e")
    c.call("Kill", signal=9)
    c.call("Wait")
    made = records(bench)
    assert [r["event"] for r in made] == ["start", "exec", "exec-exit", "exit"]
    for r in made:
        assert (r["namespace"], r["pod"], r["pod_uid"], r["container"], r["id"]) == ("team", "web-0", "u-1", "main", "one")
        assert r["node"] == os.uname().nodename
        assert r["group"] and r["containerd_namespace"] == "component"
    start, run, ran, end = made
    assert start["command"] == ["/bin/sh", "-c", "echo --password=*** >/dev/null; exec sleep 600"]
    assert (start["uid"], start["gid"], start["capabilities"], start["pid"]) == (65534, 65534, "0" * 16, pid)
    assert (run["exec_id"], run["command"]) == ("e", ["/bin/sh", "-c", "exit 3"])
    assert (ran["exec_id"], ran["status"], ran["uid"], run["uid"]) == ("e", 3, 0, 0)
    assert (end["status"], end["oom"]) == (137, False)
    text = pathlib.Path(bench.settings["REAPER_HISTORY_FILE"]).read_text()
    assert "hunter2" not in text and "never-told" not in text
    c.end()


def test_the_end_says_what_was_written_to_the_overlay(bench):
    c = bench.container("/bin/sh", "-c", "mkdir -p /var/tmp/h && head -c 300000 /dev/zero >/var/tmp/h/f",
                        annotations={"reaper.runtime/overlay-name": f"history-{os.getpid()}"})  # fmt: skip
    c.create()
    c.call("Start")
    c.call("Wait")
    end = records(bench)[-1]
    assert end["event"] == "exit" and end["overlay_bytes"] >= 300000 and end["overlay_files"] >= 1
    c.end()


def test_a_refusal_has_its_reason(bench):
    c = bench.container("/no/such/program", annotations=POD)
    with pytest.raises(RpcError):
        c.create()
    give_up(c.task, "one")
    until(c.gone)
    r = records(bench)[0]
    assert (r["event"], r["pod"], r["cause"]) == ("refused", "web-0", "not found")
    # the record has the id in a field of its own: its text begins with what is wrong
    assert r["error"].startswith("/no/such/program: ") and r["command"] == ["/no/such/program"]


def test_settings_that_are_wrong_do_not_hide_a_refusal(bench):
    bench.settings["REAPER_UPPER_SIZE"] = "much"
    c = bench.container("/bin/true", annotations=POD)
    with pytest.raises(RpcError, match="REAPER_UPPER_SIZE"):
        c.create()
    give_up(c.task, "one")
    until(c.gone)
    # of the environment, which is wrong, nothing is taken: the record is where the defaults say
    made = pathlib.Path("/var/log/reaper/history.jsonl").read_text().splitlines()
    assert any(r["event"] == "refused" and "REAPER_UPPER_SIZE" in r["error"] and r["pod"] == "web-0"
               for r in map(json.loads, made[-20:]))


def test_a_killed_shim_loses_nothing_that_was_written(bench):
    c = bench.container("/bin/sh", "-c", "head -c 300000 /dev/zero >/var/tmp/k; echo done >&2; exec sleep 600",
                        annotations={**POD, "reaper.runtime/overlay-name": f"killed-{os.getpid()}"},
                        process={"user": {"uid": 65534, "gid": 65534}, "capabilities": {}})  # fmt: skip
    error = c.fifo("stderr")
    with open(error, "rb", opener=lambda p, f: os.open(p, os.O_RDWR)) as told:
        c.create(stderr=error)
        c.call("Start")
        assert told.readline() == b"done\n"
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    bench.delete("one")
    start, end = records(bench)
    assert (start["event"], end["event"], end["status"], end["pod"]) == ("start", "exit", 137, "web-0")
    assert (end["uid"], end["command"], end["group"]) == (65534, start["command"], start["group"])
    assert end["overlay_bytes"] >= 300000 and end["overlay_files"] >= 1 and end["exited"]


def test_an_end_is_written_once(bench):
    c = bench.container("/bin/sh", "-c", "exit 3", annotations=POD)
    c.create()
    c.call("Start")
    c.call("Wait")
    os.kill(c.shim_pid, signal.SIGKILL)  # its end is in the history already
    until(c.gone)
    bench.delete("one")
    assert [r["event"] for r in records(bench)] == ["start", "exit"]


def test_an_end_that_the_shim_had_no_time_to_write(bench):
    """Killed between the record on disk and the history: `delete` knows the status of the one and misses it in the other."""
    c = bench.container("/bin/sh", "-c", "exit 3", annotations=POD)
    c.create()
    c.call("Start")
    c.call("Wait")
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    path = pathlib.Path(bench.settings["REAPER_HISTORY_FILE"])
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    bench.delete("one")
    assert [(r["event"], r.get("status")) for r in records(bench)] == [("start", None), ("exit", 3)]


def test_what_was_never_started_has_no_end(bench):
    c = bench.container("/bin/sleep", "600", annotations=POD)
    c.create()
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    bench.delete("one")
    assert records(bench) == []


@pytest.mark.parametrize("started", [True, False])
def test_a_start_that_the_history_has_forgotten(bench, started):
    c = bench.container("/bin/sleep", "600", annotations=POD)
    c.create()
    if started:
        c.call("Start")
    path = pathlib.Path(bench.settings["REAPER_HISTORY_FILE"])
    path.write_text("")
    path.with_name(path.name + ".1").write_text(line("exec", 1).replace("2026-11-29", "2999-01-01"))
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    bench.delete("one")
    assert [(r["event"], r["status"]) for r in records(bench)] == ([("exit", 137)] if started else [])


@pytest.mark.parametrize(("mode", "command"), [("program", ["/bin/sleep"]), ("none", None)])
def test_a_site_chooses_how_much_is_kept(bench, mode, command):
    bench.settings["REAPER_HISTORY"] = mode
    c = bench.container("/bin/sleep", "0", annotations=POD)
    c.create()
    c.call("Start")
    c.call("Wait")
    made = records(bench)
    assert [r.get("command") for r in made] == ([command, command] if command else [])
    c.end()


def test_the_journal_gets_fields(bench):
    directory = pathlib.Path("/run/systemd/journal")
    path = directory / "socket"
    if path.exists():
        pytest.skip("a journal is at work here")
    directory.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        try:
            c = bench.container("/bin/sleep", "0", annotations=POD)
            c.create()
            c.call("Start")
            c.call("Wait")
            told = journal.recv(65536)
            c.end()
        finally:
            path.unlink()
    assert told.startswith(b"MESSAGE=start team/web-0 main\nPRIORITY=6\nSYSLOG_IDENTIFIER=reaper\n")
    for name, value in ((b"EVENT", b"start"), (b"POD", b"web-0"), (b"COMMAND", b"/bin/sleep 0"), (b"UID", b"0")):
        assert b"REAPER_" + name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n" in told


def test_reaperctl_history(bench):
    for name, status, pod in (("one", 0, "a"), ("two", 4, "b")):
        c = bench.container("/bin/sh", "-c", f"exit {status}", name=name,
                            annotations={**POD, "io.kubernetes.cri.sandbox-id": name, "io.kubernetes.cri.sandbox-name": pod})
        c.create()
        c.call("Start")
        c.call("Wait")
        c.end()
    with open(bench.settings["REAPER_HISTORY_FILE"], "a") as f:
        f.write('{"torn')
    every = history(bench, "--json")
    assert [json.loads(x)["event"] for x in every.stdout.splitlines()] == ["start", "exit"] * 2
    assert every.stderr == "reaperctl: history: 1 lines are no records\n"
    assert {json.loads(x)["pod"] for x in history(bench, "--json", "--pod", "b").stdout.splitlines()} == {"b"}
    failed = history(bench, "--failed").stdout.splitlines()
    assert len(failed) == 2 and "team/b main" in failed[1] and failed[1].endswith("status 4")
    for none in (("--namespace", "other"), ("--until", "2026-01-01"), ("--uid", "7"), ("--since", "2999-01-01")):
        assert history(bench, *none).stdout == ""
    assert len(history(bench, "--since", "1h", "--namespace", "team", "--uid", "0").stdout.splitlines()) == 5
    wrong = history(bench, "--since", "yesterday")
    assert wrong.returncode == 2 and "--since" in wrong.stderr


def line(event, number, **more):
    return json.dumps({"time": "2026-11-29T05:40:00Z", "event": event, "id": f"c{number}", **more}) + "\n"


def test_what_a_workload_names_does_not_move_the_cursor(bench):
    path = pathlib.Path(bench.settings["REAPER_HISTORY_FILE"])
    path.write_text(line("start", 1, pod="p\u009b2J", namespace="n", command=["/bin/echo", "\x1b[2J", "\u009b2J\x7f", "\u00e4"]))
    text = history(bench).stdout
    assert text.splitlines()[1].endswith("n/p\\xc2\\x9b2J" + " " * 20 + "/bin/echo \\x1b[2J \\xc2\\x9b2J\\x7f \u00e4")
    assert not set(text) & {"\x1b", "\x9b", "\x7f"}


def test_follow_survives_rotation(bench):
    path = pathlib.Path(bench.settings["REAPER_HISTORY_FILE"])
    old = path.with_name(path.name + ".1")
    with subprocess.Popen([str(BINARIES / "reaperctl"), "history", "--follow", "--json", "--uid", "7"], env=bench.environment(),
                          stdout=subprocess.PIPE, text=True) as reader:  # fmt: skip

        def told():
            return json.loads(reader.stdout.readline())["id"]

        with path.open("a") as f:  # it was not there when the reader began
            f.write(line("exec", 0, uid=1) + line("exec", 1, uid=7))
            f.flush()
            assert told() == "c1"
            f.write(line("exec", 2, uid=7)[:20])  # the rest comes later
            f.flush()
            f.write(line("exec", 2, uid=7)[20:])
            f.flush()
            assert told() == "c2"
            path.rename(old)
            path.write_text(line("exec", 3, uid=7))
            assert told() == "c3"
            f.write(line("exec", 4, uid=7))  # of a shim that had it open before
        assert told() == "c4"
        reader.send_signal(signal.SIGSTOP)  # two rotations while it does not look
        path.rename(old)
        path.write_text(line("exec", 5, uid=7))
        path.rename(old)
        path.write_text(line("exec", 6, uid=7))
        reader.send_signal(signal.SIGCONT)
        assert [told(), told()] == ["c5", "c6"]
        assert reader.poll() is None
        reader.kill()
    assert reader.stdout.closed


def test_follow_uses_no_time_while_nothing_happens(bench):
    """It waits in one call of the kernel: no timer wakes it."""
    pathlib.Path(bench.settings["REAPER_HISTORY_FILE"]).write_text(line("exec", 1))
    with subprocess.Popen([str(BINARIES / "reaperctl"), "history", "--follow", "--json"], env=bench.environment(),
                          stdout=subprocess.PIPE, text=True) as reader:  # fmt: skip
        assert json.loads(reader.stdout.readline())["id"] == "c1"
        stack = pathlib.Path(f"/proc/{reader.pid}/stack")
        until(lambda: "inotify_read" in stack.read_text())
        reader.kill()
