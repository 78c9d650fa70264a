"""What a site's monitoring sees: gauges of now, counters that outlive the history, and a dashboard of the same names."""

import json
import os
import pathlib
import re
import stat
import subprocess
import threading

import pytest

from bench import POD, give_up
from machine import BINARIES, SOURCE
from prometheus import parse
from ttrpc import RpcError
from waiting import until

pytestmark = pytest.mark.submission("a site is woken by these numbers; milliseconds")


@pytest.fixture
def metrics(bench):
    def read(*options):
        result = subprocess.run([str(BINARIES / "reaperctl"), "metrics", *options], capture_output=True, text=True,
                                env={**bench.environment(), "STATE_DIRECTORY": f"{bench.directory}/state"})  # fmt: skip
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    return read


def flat(text):
    """{'name' or 'name{label}': value}, of one label at most."""
    return {name + (f"{{{labels[0][1]}}}" if labels else ""): value
            for _, samples in parse(text).values() for (name, labels), value in samples.items()}  # fmt: skip


def run(bench, name, *args, status=0):
    c = bench.container(*args, name=name, annotations={**POD, "io.kubernetes.cri.sandbox-id": name})
    c.create()
    c.call("Start")
    c.call("Wait")
    return c


def test_numbers_of_a_node(bench, metrics):
    c = bench.container("/bin/sh", "-c", "head -c 300000 /dev/zero >/var/tmp/m; exec sleep 600",
                        annotations={**POD, "reaper.runtime/overlay-name": f"metrics-{os.getpid()}"})  # fmt: skip
    c.create()
    c.call("Start")
    until(lambda: any(k.startswith("reaper_upper_used_bytes{") and v >= 300000 for k, v in flat(metrics()).items()))
    now = flat(metrics())
    assert now["reaper_containers{running}"] == 1 and now["reaper_pods"] == 0  # a bench makes no sandbox
    assert now["reaper_shim_processes"] >= 1 and now["reaper_shim_memory_bytes"] > 10000
    group = next(k for k in now if k.startswith("reaper_upper_used_bytes{") and "metrics" in k).partition("{")[2]
    assert 0 < now["reaper_upper_used_bytes{" + group] < now["reaper_upper_size_bytes{" + group]
    assert 0 < now["reaper_upper_files{" + group] < now["reaper_upper_files_max{" + group]
    assert now["reaper_starts_total"] == now["reaper_start_duration_seconds_count"] == 1
    assert 0 < now["reaper_start_duration_seconds_sum"] < 600
    c.call("Kill", signal=9)
    c.call("Wait")
    now = flat(metrics())
    assert (now["reaper_exits_total{failed}"], now["reaper_containers{stopped}"]) == (1, 1)
    c.end()


def test_failures_have_their_cause(bench, metrics):
    c = bench.container("/no/such/program", annotations=POD)
    with pytest.raises(RpcError):
        c.create()
    give_up(c.task, "one")
    until(c.gone)
    now = flat(metrics())
    # the second one is give_up's, of a bundle that is not there
    assert (now["reaper_start_failures_total{not found}"], now["reaper_starts_total"]) == (2, 0)


def record(event, number, **more):
    return json.dumps({"time": "2026-11-29T05:40:00Z", "event": event, "id": f"c{number}", **more}) + "\n"


@pytest.fixture
def file(bench):
    return pathlib.Path(bench.settings["REAPER_HISTORY_FILE"])


def test_counters_outlive_the_history(file, metrics):
    file.write_text(record("start", 1, start_ms=7) + record("exit", 1, status=0) + '{"torn')
    for _ in range(2):  # nothing is counted twice, and what has no end is not counted yet
        now = flat(metrics())
        assert (now["reaper_starts_total"], now["reaper_exits_total{ok}"], now["reaper_history_bad_lines_total"]) == (1, 1, 0)
    with file.open("a") as f:
        f.write("\n" + record("start", 2, start_ms=8000))
    file.rename(f"{file}.1")  # the recorder's rotation
    file.write_text(record("exit", 2, status=137, oom=True))
    now = flat(metrics())
    assert (now["reaper_starts_total"], now["reaper_exits_total{oom}"], now["reaper_history_bad_lines_total"]) == (2, 1, 1)
    # a shim had the renamed file open and comes late; then everything that was counted is gone
    with open(f"{file}.1", "a") as f:
        f.write(record("exec", 2))
    assert flat(metrics())["reaper_execs_total"] == 1
    pathlib.Path(f"{file}.1").unlink()
    file.unlink()
    now = flat(metrics())
    assert (now["reaper_starts_total"], now["reaper_execs_total"]) == (2, 1)
    assert (now["reaper_start_duration_seconds_bucket{0.01}"], now["reaper_start_duration_seconds_bucket{2.5}"],
            now["reaper_start_duration_seconds_bucket{+Inf}"], now["reaper_start_duration_seconds_sum"]) == (1, 1, 2, 8.007)  # fmt: skip
    # a new file is counted from its beginning, also one that gets the number of an old one
    file.write_text(record("start", 3))
    assert flat(metrics())["reaper_starts_total"] == 3


def test_two_collectors_count_each_record_once(file, metrics):
    file.write_text("".join(record("exec", i) for i in range(500)))
    threads = [threading.Thread(target=metrics) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert flat(metrics())["reaper_execs_total"] == 500


def test_the_file_is_whole_and_everybody_may_read_it(bench, metrics):
    path = bench.directory / "reaper.prom"
    path.write_text("of before")
    before = path.stat().st_ino
    assert metrics("--output", str(path)) == ""
    assert parse(path.read_text()) and stat.S_IMODE(path.stat().st_mode) == 0o644 and path.stat().st_ino != before
    assert [p.name for p in bench.directory.glob("*prom*")] == ["reaper.prom"]
    # where it cannot be written, the old one stays
    result = subprocess.run([str(BINARIES / "reaperctl"), "metrics", "--output", "/no/such/directory/x.prom"],
                            env={**bench.environment(), "STATE_DIRECTORY": f"{bench.directory}/state"}, capture_output=True, text=True)  # fmt: skip
    assert result.returncode == 1 and "/no/such/directory" in result.stderr


def test_without_a_history_there_are_gauges(bench, metrics):
    bench.settings["REAPER_HISTORY"] = "none"
    families = parse(metrics())
    assert "reaper_pods" in families and "reaper_starts_total" not in families
    assert not (bench.directory / "state").exists()


def test_the_dashboard_and_the_page_have_these_names(metrics):
    families = parse(metrics())
    dashboard = json.loads((SOURCE / "packaging/common/grafana-dashboard.json").read_text())
    used = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            for name in re.findall(r"\breaper_\w+", target["expr"]):
                base = re.sub(r"_(bucket|sum|count)$", "", name)
                assert base in families, name
                assert (families[base][0] == "histogram") == (base != name), name
                # a counter means nothing but as a rate
                assert families[base][0] == "gauge" or f"rate({name}{{" in target["expr"], target["expr"]
                used.add(base)
    assert used == families.keys()
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    page = (SOURCE / "docs/OPERATIONS.md").read_text()
    assert set(re.findall(r"`(reaper_\w+)", page)) == families.keys()
