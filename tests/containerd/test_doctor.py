"""`reaperctl doctor --task` on a node: a task of ctr is really made, and nothing is left."""

import json

import pytest



def doctor(node):
    result = node.run("reaperctl", "doctor", "--task", "--json", check=False)
    return result.returncode, json.loads(result.stdout)["checks"]


@pytest.mark.submission("the last check of an installation: one throw-away task that is gone afterwards")
@pytest.mark.parametrize("suite", ["trixie"])
def test_a_throw_away_task(checked, suite):
    node = checked(suite)
    status, checks = doctor(node)
    wrong = {name: check for name, check in checks.items() if check["result"] == "failed"}
    assert (status, wrong) == (0, {})
    for name in ["task-start", "task-cgroup", "task-overlay", "task-write", "task-exec", "task-exit"]:
        assert checks[name]["result"] == "passed"
    assert "reaper-check" not in node.ctr("containers", "ls").stdout


@pytest.mark.full("a shim that is away is told, with the daemon's and the package's check")
def test_a_shim_that_is_away(checked):
    node = checked("trixie")
    path = node.run("sh", "-c", "command -v containerd-shim-reaper-v2").stdout.strip()
    node.run("mv", path, f"{path}.away")
    try:
        status, checks = doctor(node)
    finally:
        node.run("mv", f"{path}.away", path)
    assert status == 12
    assert checks["shim-version"]["result"] == checks["shim-found"]["result"] == "failed"
    assert checks["task-start"]["result"] == "skipped"
