"""What runs here is told from records, processes and cgroups: no daemon is there, and no shim is asked."""

import json
import os
import pathlib
import signal
import subprocess

import pytest

from bench import POD
from machine import BINARIES
from waiting import until

pytestmark = pytest.mark.submission("asked when the daemon is down and somebody waits; milliseconds")


def reaperctl(bench, *words):
    return subprocess.run([str(BINARIES / "reaperctl"), *words], env=bench.environment(), capture_output=True, text=True)


@pytest.fixture
def running(bench):
    c = bench.container("/bin/sh", "-c", "head -c 20000000 /dev/zero | tail -c 1 >/dev/null; exec sleep 600", annotations=POD,
                        process={"user": {"uid": 65534, "gid": 65534}, "capabilities": {}})  # fmt: skip
    c.pid = c.create()
    c.call("Start")
    return c


def test_what_runs_here(bench, running):
    one, = json.loads(reaperctl(bench, "ps", "--json", "--pod", "web-0").stdout)["containers"]
    assert (one["namespace"], one["pod"], one["container"], one["id"]) == ("team", "web-0", "main", "one")
    assert (one["status"], one["pid"], one["uid"], one["gid"]) == ("running", running.pid, 65534, 65534)
    assert one["memory_bytes"] > 0 and "cpu_usec" in one and one["group"] and one["created"].endswith("Z")
    titles, row = reaperctl(bench, "ps", "--namespace", "team").stdout.splitlines()
    assert titles.split()[:4] == ["STATUS", "AGE", "UID", "MEMORY"]
    assert row.startswith("running ") and row.endswith(" team/web-0 main") and len(row) <= 80
    wide = reaperctl(bench, "ps", "--wide").stdout
    assert f" {running.pid}  one  team/web-0 main" in wide
    assert reaperctl(bench, "ps", "-o", "wide").stdout.splitlines()[0] == wide.splitlines()[0]
    assert json.loads(reaperctl(bench, "ps", "-o", "json").stdout)["containers"][0]["pid"] == running.pid
    assert reaperctl(bench, "ps", "--namespace", "other").stdout == "no container of Reaper is on this node\n"
    running.call("Kill", signal=9)
    running.call("Wait")
    assert reaperctl(bench, "ps").stdout.splitlines()[1].startswith("stopped ")
    running.end()


@pytest.mark.parametrize("word", ["on", "web-0", "team/web-0"])
def test_inspect_says_how_to_reach_it(bench, running, word):
    text = reaperctl(bench, "inspect", word).stdout
    for line in ("kubectl logs -n team web-0 -c main", "kubectl exec -n team -it web-0 -c main -- sh",
                 "crictl logs one", "ctr -n component tasks kill -s SIGTERM one", f"pid           {running.pid}"):  # fmt: skip
        assert f"  {line}\n" in text
    running.call("Kill", signal=9)
    running.call("Wait")
    running.end()


def test_inspect_of_what_is_not_here(bench):
    for words, status, why in ((["inspect"], 2, "which one?"), (["inspect", "gone"], 1, "see reaperctl ps"),
                               (["inspect", "a", "b"], 2, 'unknown argument "b"')):  # fmt: skip
        result = reaperctl(bench, *words)
        assert result.returncode == status and why in result.stderr


@pytest.fixture
def where_containerd_has_it(bench):
    """The bundle where it is found without a shim that holds it open."""
    directory = pathlib.Path("/run/containerd/io.containerd.runtime.v2.task/component")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "one").symlink_to(bench.directory / "one")
    yield
    (directory / "one").unlink()
    directory.rmdir()


def test_also_when_the_shim_was_killed(bench, where_containerd_has_it):
    c = bench.container("/bin/sleep", "600", annotations=POD, linux={"namespaces": [{"type": "mount"}]})
    pid = c.create()
    c.call("Start")
    os.kill(c.shim_pid, signal.SIGKILL)
    until(c.gone)
    one, = json.loads(reaperctl(bench, "ps", "--json").stdout)["containers"]
    assert (one["pod"], one["status"], one["pid"], one["uid"]) == ("web-0", "running", pid, 0)
    bench.delete("one")


def test_a_name_does_not_move_the_cursor(bench):
    annotations = {**POD, "io.kubernetes.cri.sandbox-name": "web\x1b[2J\x9b2J\u202e; rm -rf /", "io.kubernetes.cri.container-name": "a\nb"}
    c = bench.container("/bin/sleep", "600", annotations=annotations)
    c.create()
    for words in (["ps"], ["top"], ["inspect", "one"]):
        text = reaperctl(bench, *words).stdout
        assert "team/web\\x1b[2J\\xc2\\x9b2J" in text and not set(text) & {"\x1b", "\x9b"}, words
        assert "kubectl" not in text  # nobody's shell gets that
    c.call("Kill", signal=9)
    c.call("Wait")
    c.end()


def test_top_has_the_busy_pod_first(bench):
    busy = {**POD, "io.kubernetes.cri.sandbox-id": "two", "io.kubernetes.cri.sandbox-name": "busy"}
    idle = bench.container("/bin/sleep", "600", annotations=POD)
    work = bench.container("/bin/sh", "-c", "while :; do :; done", name="two", annotations=busy)
    for c in (idle, work):
        c.create()
        c.call("Start")
    answer = json.loads(reaperctl(bench, "top", "--json").stdout)
    first, second = answer["pods"]
    assert (first["namespace"], first["pod"], first["containers"], second["pod"]) == ("team", "busy", 1, "web-0")
    assert first["cpu_millicores"] > second["cpu_millicores"] and second["memory_bytes"] > 0 and answer["interval_ms"] >= 1000
    titles, one, two = reaperctl(bench, "top").stdout.splitlines()
    assert titles.split() == ["CPU", "%", "MEMORY", "POD,", "CONTAINERS"]
    assert one.endswith(" team/busy 1") and two.endswith(" team/web-0 1")
    wide = reaperctl(bench, "top", "-o", "wide", "--pod", "busy").stdout.splitlines()
    assert len(wide) == 2 and wide[1].endswith(" team/busy main")
    with subprocess.Popen([str(BINARIES / "reaperctl"), "top", "--batch", "--json"], env=bench.environment(), stdout=subprocess.PIPE) as batch:
        for _ in range(2):
            assert json.loads(batch.stdout.readline())["pods"][0]["pod"] == "busy"
        batch.kill()
    assert reaperctl(bench, "top", "--interval", "0").returncode == 2
    for c in (idle, work):
        c.call("Kill", signal=9)
        c.call("Wait")
        c.end()
